/* One line per built-in workload: XFD_WORKLOAD(stem in sim/workloads/, name). Order of lists. */
XFD_WORKLOAD(idle, "idle")
XFD_WORKLOAD(web, "web")
XFD_WORKLOAD(database, "database")
XFD_WORKLOAD(amx_beside_web, "amx-beside-web")
XFD_WORKLOAD(amx_batch, "amx-batch")
XFD_WORKLOAD(overcommitted, "overcommitted")
XFD_WORKLOAD(toggler, "toggler")
XFD_WORKLOAD(medley, "medley")
