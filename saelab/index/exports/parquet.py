"""An index as Parquet files, for SQL."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saelab.doors import door
from saelab.errors import SaelabError
from saelab.files import atomic_write
from saelab.index.queries import Queries
from saelab.index.storage.arrays import blocks

_ENTRIES = 1 << 20  # per row group


@door
def write_parquet(index: Queries, folder: str | Path) -> Path:
    """Write Parquet files for SQL, ``postings.parquet``, ``tokens.parquet`` and ``latents.parquet``; needs ``pyarrow``.

    ``postings``: latent, token_index, value, sorted by latent (so a query for one latent reads one row
    group); ``tokens``: token_index, row, position, doc, token_id, token, counted; ``latents``:
    :meth:`LatentIndex.to_frame`.

    Examples
    --------
    >>> sorted(path.name for path in index.to_parquet(folder).iterdir())
    ['latents.parquet', 'postings.parquet', 'tokens.parquet']
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise SaelabError("to_parquet needs the package pyarrow: pip install pyarrow") from None
    folder = Path(folder)
    ptr = index.arrays["post_ptr"]
    schema = pa.schema([("latent", pa.int32()), ("token_index", pa.int32()), ("value", pa.float32())])
    with atomic_write(folder / "postings.parquet") as path, pq.ParquetWriter(path, schema) as out:
        for a, b in blocks(ptr, _ENTRIES):
            part = slice(int(ptr[a]), int(ptr[b]))
            latent = np.repeat(np.arange(a, b, dtype=np.int32), np.diff(ptr[a : b + 1]))
            columns = [latent, index.arrays["post_token"][part], index.arrays["post_value"][part]]
            out.write_table(pa.table(columns, schema=schema))
    names = np.array([t.decode("utf-8", "backslashreplace") for t in index.vocab.table()], dtype=object)
    fields = [("token_index", pa.int32()), ("row", pa.int32()), ("position", pa.int32()), ("doc", pa.int32())]
    schema = pa.schema([*fields, ("token_id", pa.int32()), ("token", pa.string()), ("counted", pa.bool_())])
    with atomic_write(folder / "tokens.parquet") as path, pq.ParquetWriter(path, schema) as out:
        for begin in range(0, index.n_tokens, _ENTRIES):
            token = np.arange(begin, min(begin + _ENTRIES, index.n_tokens), dtype=np.int32)
            row, position = index.rows.locate(token)
            ids = index.rows.ids[token]
            columns = [
                token, row.astype(np.int32), position.astype(np.int32), index.rows.doc[row], ids, names[ids],
                index.counted[token],
            ]  # fmt: skip
            out.write_table(pa.table(columns, schema=schema))
    with atomic_write(folder / "latents.parquet") as path:
        index.to_frame().reset_index().to_parquet(path, engine="pyarrow")
    return folder
