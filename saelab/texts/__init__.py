"""Real text that is on the machine: of installed Python packages, and English of what package managers carry."""

from saelab.texts.english import SOURCES, english_texts
from saelab.texts.packages import package_texts

__all__ = ["SOURCES", "english_texts", "package_texts"]
