/* One line per policy: XFD_POLICY(file stem and symbol). Order is report order. */
XFD_POLICY(always_intercept)
XFD_POLICY(passthrough)
XFD_POLICY(first_enable)
XFD_POLICY(recheck_on_resume)
XFD_POLICY(second_enable)
XFD_POLICY(first_nonzero)
XFD_POLICY(adaptive)
