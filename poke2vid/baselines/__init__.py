"""The systems that the paper compares with (Sec. 4.3), written from their papers, trained and scored by one code."""
