"""Functions of loops over time: recurrent cells, scans, a scan that attends."""
