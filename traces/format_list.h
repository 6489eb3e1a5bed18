/* One line per trace format: XFD_FORMAT(file stem and symbol). The first is the default. */
XFD_FORMAT(xft)
XFD_FORMAT(xfs)
