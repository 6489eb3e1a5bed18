/*
 * One line per kind of recording: XFD_RECORDING(file stem and symbol). A text is read by the
 * parser that understands most of its first lines, the first one when several do.
 */
XFD_RECORDING(ftrace)
XFD_RECORDING(perf)
XFD_RECORDING(tracedat)
