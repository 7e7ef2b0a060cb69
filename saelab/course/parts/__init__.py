"""The exercises, a file for each notebook: what is asked of a student, how an answer is graded, three hints."""
