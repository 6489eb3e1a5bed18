/* SPDX-License-Identifier: MIT */
/*
 * The protocol of models/ once more, in Promela, written from the kernel's order of steps and
 * not from models/: an oracle that shares no code with the explorer. Two vCPUs, two pCPUs, a
 * task without AMX (2) and one with (3), kernel threads and idle (NOBODY); guest accesses of
 * XFD, AMX use and #NM, preemption, migration, kernel FPU users, C6 and CPU hotplug, under
 * v6.19's rules with first-nonzero. -DFLAG_ONLY, -DKEEP_BV, -DSTALE_CACHE and -DNO_SYNC open
 * windows; tests/run_spin.sh compares the verdicts.
 *
 * One process and d_steps, because every interleaving is a choice of the next step.
 */
#define NV	2
#define N	2
#define A	3
#define NOBODY	7

#define GUEST	0	/* where a vCPU's thread is */
#define EXITED	1	/* after the exit, preemptible, before the handler */
#define ENTERING 2	/* handler done, preemptible, before VM-entry */
#define USER	3	/* in the VMM, before KVM_RUN */

bit msr[2], cache[2], merr[2], xinuse[2], online[2];
byte owner[2], tiles_of[2], running[2];
bit need_load[4];
byte last_cpu[4];
bit xfd[NV], bv[NV], passes[NV], saved_err[NV];	/* the host's */
bit see_xfd[NV], see_err[NV], has_tiles[NV];	/* the guest's */
byte at[NV], write[NV];				/* write: 0 none, 1 of 0, 2 of 1 */
bit task_bv;
byte t; /* scratch, 0 between steps */

#define IN_GUEST(P)	(online[P] && running[P] < NV && at[running[P]] == GUEST)
#define AT(P, W)	(online[P] && running[P] < NV && at[running[P]] == W)
#define VALID(T, P)	(owner[P] == T && last_cpu[T] == P)

inline set_xfd(P, x) { if :: cache[P] != x -> msr[P] = x; cache[P] = x :: else fi }

/* XRSTORS of thread T */
inline load(P, T, x, b)
{
	set_xfd(P, x);
	assert(!(b && msr[P]));
	xinuse[P] = b;
	if :: b -> tiles_of[P] = T :: else -> tiles_of[P] = NOBODY fi;
	owner[P] = T;
}

/* XSAVES of whoever's registers are live; the VMM's own image never has tiles */
inline save(P)
{
	t = running[P];
	if
	:: t != NOBODY && !need_load[t] ->
		if
		:: t < NV && at[t] != USER -> bv[t] = xinuse[P] && !msr[P]
		:: t == A -> task_bv = xinuse[P] && !msr[P]; assert(task_bv)
		:: else
		fi;
		need_load[t] = 1;
		last_cpu[t] = P
	:: else
	fi
}

inline host_ok(P)
{
	assert(cache[P] == msr[P]);
	assert(!merr[P]);
	t = running[P];
	if
	:: t < NV && !need_load[t] && at[t] == USER -> assert(msr[P])
	:: t < NV && !need_load[t] && at[t] != USER -> assert(msr[P] == xfd[t])
	:: t == N && !need_load[t] -> assert(msr[P])
	:: t == A && !need_load[t] -> assert(!msr[P] && xinuse[P] && tiles_of[P] == A)
	:: else
	fi;
	t = 0
}

inline guest_ok(P)
{
	t = running[P];
	assert(msr[P] == see_xfd[t] && merr[P] == see_err[t]);
	assert(!has_tiles[t] || (xinuse[P] && tiles_of[P] == t));
	assert(!xinuse[P] || msr[P] || tiles_of[P] == t);
	t = 0
}

/* irqs off: sync, save and zero XFD_ERR */
inline vmexit(P, nm)
{
	t = running[P];
#ifndef NO_SYNC
	if :: passes[t] -> xfd[t] = msr[P]; cache[P] = msr[P] :: else fi;
#endif
	if :: nm && xfd[t] -> saved_err[t] = merr[P] :: else fi;
	if :: saved_err[t] -> merr[P] = 0 :: else fi;
	at[t] = EXITED;
	write[t] = 0;
	bv[t] = 0	/* dead while the registers are live */
}

inline vmentry(P)
{
	t = running[P];
	if
	:: need_load[t] ->
		need_load[t] = 0;
		if :: !VALID(t, P) -> load(P, t, xfd[t], bv[t]) :: else fi
	:: else
	fi;
	last_cpu[t] = NOBODY;
	bv[t] = 0;
	if :: saved_err[t] -> merr[P] = 1 :: else fi;
	at[t] = GUEST;
	guest_ok(P)
}

inline emulate(P, x)
{
	t = running[P];
#ifndef KEEP_BV
	if :: x && need_load[t] -> bv[t] = 0 :: else fi;
#endif
	xfd[t] = x;
	see_xfd[t] = x;
	if :: x -> has_tiles[t] = 0; passes[t] = 1 :: else fi;
#ifdef FLAG_ONLY
	set_xfd(P, x);
#else
	if
	:: need_load[t] -> last_cpu[t] = NOBODY
	:: else -> set_xfd(P, x)
	fi;
#endif
	write[t] = 0;
	at[t] = ENTERING;
	host_ok(P)
}

inline to_user_mode(P, T, x, b)
{
	if
	:: need_load[T] ->
		need_load[T] = 0;
		if :: !VALID(T, P) -> load(P, T, x, b) :: else fi;
		last_cpu[T] = NOBODY
	:: else
	fi
}

/* names that nobody reads any more, so that equal states are equal */
inline forget()
{
	if :: owner[0] != NOBODY && need_load[owner[0]] && last_cpu[owner[0]] != 0 -> owner[0] = NOBODY :: else fi;
	if :: owner[0] != NOBODY && !need_load[owner[0]] && running[0] != owner[0] -> owner[0] = NOBODY :: else fi;
	if :: owner[1] != NOBODY && need_load[owner[1]] && last_cpu[owner[1]] != 1 -> owner[1] = NOBODY :: else fi;
	if :: owner[1] != NOBODY && !need_load[owner[1]] && running[1] != owner[1] -> owner[1] = NOBODY :: else fi;
	t = 0;
	do
	:: t < 4 ->
		if
		:: last_cpu[t] != NOBODY ->
			if
			:: owner[last_cpu[t]] != t -> last_cpu[t] = NOBODY
			:: else
			fi
		:: else
		fi;
		t++
	:: else -> break
	od;
	if :: owner[0] == NOBODY -> xinuse[0] = 0; tiles_of[0] = NOBODY :: else fi;
	if :: owner[1] == NOBODY -> xinuse[1] = 0; tiles_of[1] = NOBODY :: else fi;
	t = 0
}

inline switch_to(P, T)
{
	save(P);
	running[P] = T;
	if
	:: T == N -> to_user_mode(P, N, 1, 0)
	:: T == A -> to_user_mode(P, A, 0, task_bv)
	:: T < NV -> if :: at[T] == USER -> to_user_mode(P, T, 1, 0) :: else fi
	:: else
	fi;
	forget();
	host_ok(P)
}

#define GUEST_STEPS(P) \
	:: d_step { IN_GUEST(P) && passes[running[P]] -> msr[P] = 0; see_xfd[running[P]] = 0; guest_ok(P) } \
	:: d_step { IN_GUEST(P) && passes[running[P]] -> msr[P] = 1; see_xfd[running[P]] = 1; \
		    has_tiles[running[P]] = 0; guest_ok(P) } \
	:: d_step { IN_GUEST(P) && !passes[running[P]] -> vmexit(P, 0); write[t] = 1; host_ok(P) } \
	:: d_step { IN_GUEST(P) && !passes[running[P]] -> vmexit(P, 0); write[t] = 2; host_ok(P) } \
	:: d_step { IN_GUEST(P) && !msr[P] -> t = running[P]; \
		    assert(!xinuse[P] || tiles_of[P] == t); xinuse[P] = 1; tiles_of[P] = t; \
		    has_tiles[t] = 1; t = 0 } \
	:: d_step { IN_GUEST(P) && msr[P] && passes[running[P]] -> merr[P] = 1; \
		    see_err[running[P]] = 1; vmexit(P, 1); host_ok(P) } \
	:: d_step { IN_GUEST(P) && (xinuse[P] || has_tiles[running[P]]) -> xinuse[P] = 0; \
		    tiles_of[P] = NOBODY; has_tiles[running[P]] = 0 } \
	:: d_step { IN_GUEST(P) -> vmexit(P, 0); host_ok(P) }

#define PATH_STEPS(P) \
	:: d_step { AT(P, EXITED) && write[running[P]] == 0 -> vmentry(P) } \
	:: d_step { AT(P, EXITED) && write[running[P]] == 1 -> emulate(P, 0) } \
	:: d_step { AT(P, EXITED) && write[running[P]] == 2 -> emulate(P, 1) } \
	:: d_step { AT(P, ENTERING) -> vmentry(P) } \
	:: d_step { AT(P, USER) -> t = running[P]; load(P, t, xfd[t], bv[t]); bv[t] = 0; \
		    at[t] = ENTERING; host_ok(P) }

#define MAY_SWITCH(P, T) \
	(online[P] && !IN_GUEST(P) && running[P] != T && (T == NOBODY || running[1 - P] != T))

#define HOST_STEPS(P) \
	:: d_step { MAY_SWITCH(P, 0) -> switch_to(P, 0) } \
	:: d_step { MAY_SWITCH(P, 1) -> switch_to(P, 1) } \
	:: d_step { MAY_SWITCH(P, N) -> switch_to(P, N) } \
	:: d_step { MAY_SWITCH(P, A) -> switch_to(P, A) } \
	:: d_step { MAY_SWITCH(P, NOBODY) -> switch_to(P, NOBODY) } \
	:: d_step { AT(P, EXITED) || AT(P, ENTERING) || (online[P] && running[P] == NOBODY) -> \
		    save(P); owner[P] = NOBODY; forget(); host_ok(P) } \
	:: d_step { online[P] && running[P] == NOBODY && xinuse[P] -> owner[P] = NOBODY; \
		    forget(); host_ok(P) } \
	:: d_step { online[P] && online[1 - P] && !IN_GUEST(P) -> save(P); running[P] = NOBODY; \
		    online[P] = 0; owner[P] = NOBODY; msr[P] = 0; forget() } \
	:: d_step { !online[P] -> online[P] = 1; msr[P] = 1; ONLINE_CACHE(P); host_ok(P) }

#ifdef STALE_CACHE
#define ONLINE_CACHE(P) skip
#else
#define ONLINE_CACHE(P) cache[P] = 1
#endif

init {
	d_step {
		msr[0] = 1; msr[1] = 1; cache[0] = 1; cache[1] = 1; online[0] = 1; online[1] = 1;
		owner[0] = 0; owner[1] = 1; tiles_of[0] = NOBODY; tiles_of[1] = NOBODY;
		running[0] = 0; running[1] = 1;
		need_load[N] = 1; need_load[A] = 1;
		last_cpu[0] = NOBODY; last_cpu[1] = NOBODY; last_cpu[N] = NOBODY;
		last_cpu[A] = NOBODY;
		at[0] = USER; at[1] = USER;
		task_bv = 1
	}
	do
	GUEST_STEPS(0)
	GUEST_STEPS(1)
	PATH_STEPS(0)
	PATH_STEPS(1)
	HOST_STEPS(0)
	HOST_STEPS(1)
	od
}
