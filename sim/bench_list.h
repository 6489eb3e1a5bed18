/*
 * One line per row of `xfdsim bench`: XFD_BENCH(symbol, policies or 0 for all, meaning).
 * Order is report order.
 */
XFD_BENCH(sum_records, 1, "add up 24-byte records in memory")
XFD_BENCH(sum_columns, 1, "add up the columns of tags and vCPUs")
XFD_BENCH(naive, 1, "naive interpreter, a switch per record, one policy")
XFD_BENCH(reference, 1, "reference engine, every record through the model, one policy")
XFD_BENCH(automaton_records, 1, "automaton, one policy, columns made from records first")
XFD_BENCH(automaton_1, 1, "automaton, one policy, digests or columns in memory")
XFD_BENCH(automaton_4, 4, "automaton, four policies in one pass")
XFD_BENCH(automaton_all, 0, "automaton, all online policies in one pass")
XFD_BENCH(decode, 1, "read and check the packed file, replay nothing")
XFD_BENCH(file_1, 1, "packed file to ledger, one policy")
XFD_BENCH(file_all, 0, "packed file to ledgers, all online policies")
