"""Every file that a job leaves behind, one module each: layout, writer, reader, checks."""
