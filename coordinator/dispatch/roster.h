/* roster.h - who works: what each worker does, since when, and how far it can be trusted. In memory only: a new epoch
 * starts with an empty roster, and the workers introduce themselves. */
#ifndef REELWRIGHT_ROSTER_H
#define REELWRIGHT_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/ledger/ledger.h"

typedef enum {
    MEMBER_ABSENT, /* not heard yet */
    MEMBER_READY,
    MEMBER_HELPING, /* in a render of its group's first rank, or not yet back from one */
    MEMBER_WORKING,
    MEMBER_LOST, /* made no progress: its lease is given away; it may come back */
    MEMBER_DEAD,
    MEMBER_GONE, /* said goodbye */
    MEMBER_STATES
} MemberState;

enum {
    ROSTER_BAD_ITEMS = 3,            /* different shots or clips failed in a row: the worker is set aside */
    ROSTER_IDLE_MS = 10000,          /* an idle worker says so every second; one that does not gets no work */
    ROSTER_ABSENT_MS = 120000,       /* a worker that has not introduced itself by then is not waited for */
    ROSTER_BACK_MS = 30000,          /* so long a worker is waited for whose group has lost a rank */
    ROSTER_FIRST_LIMIT_MS = 1800000, /* for a step, before any was measured: it includes loading the model */
    ROSTER_LEAST_LIMIT_MS = 120000,
    ROSTER_LIMIT_FACTOR = 20 /* a step that takes so many times the longest so far is not going to end */
};

typedef struct { /* what each lease changes stands together, before the texts: a farm has many thousand */
    int rank;
    int takes; /* a bit for each LeaseKind that it accepts */
    MemberState state;
    LeaseKind kind; /* of its lease, while it works */
    bool is_tail;   /* roster_tail: its state is WORKING, or it holds nothing */
    bool aside;     /* failed too much: gets no more work */
    bool stop_told; /* has been asked to end */
    bool leaving;   /* has given a lease back because it was stopped itself: roster_set_leaving */
    bool answered;  /* it has said something of the lease */
    bool dirty,
        urgent; /* dirty: its line in the ledger is old; urgent: the line is written at once, not with the next round of lines */
    int64_t heard_ms, progress_ms, sent_ms;
    int64_t lease, shot, item; /* item: the shot that it renders, the clip that it finishes; -1: none of its own */
    int64_t group;             /* number of the group it is in; 0: none */
    int lead, next;            /* the rank of its first; the one after this, 0: none */
    int done, total, clip_count, steps, made[LEASE_KINDS], bad_count;
    unsigned char *lease_data; /* of the lease in work, to send it again */
    size_t lease_bytes;
    char stage[16], clip[64];
    char stem[256]; /* of the clip that it finishes, else "" */
    struct {
        LeaseKind kind;
        int64_t item;
    } bad[ROSTER_BAD_ITEMS];
    int64_t awaited_ms; /* lost with its group, and expected back until then */
    int pid, threads;
    char host[64], name[96]; /* name: host:pid, one life of one process */
} Member;

typedef struct {
    int hoped[LEASE_KINDS]; /* of those that take the kind (roster_is_hoped) */
    int any;                /* hoped for, whatever they take */
    int aside, working, rendering;
    int silent; /* lost or dead or never heard: the job cannot be left in order */
} RosterCount;

/* A member's state, group and kinds are written by the functions below alone, which keep the counts and the sets of who is ready: a round asks
 * for them often, and a farm may have many thousand ranks. */
typedef struct {
    int count;      /* ranks, the coordinator's own (0, unused) included */
    int group_size; /* ranks that render a shot together */
    int64_t groups; /* formed so far */
    int leaving;    /* of those that are ready */
    Member *member; /* [count] */
    Member *tail;   /* [count]: what each has in its tail */
    int64_t start_ms;
    int64_t longest_ms;                  /* the longest wait between two signs of progress so far */
    int64_t fixed_limit_ms;              /* 0 = measured */
    int64_t stage_limit_ms[STAGE_COUNT]; /* of one stage, where it is not 0 */
    RosterCount tally;                   /* as if nobody were late or awaited */
    int in[MEMBER_STATES];               /* members in each state */
    int ungrouped;                       /* ready, here for renders, and in no group */
    int64_t awaited_ms;                  /* the latest of all members' */
    uint64_t *ready[LEASE_KINDS];        /* a bit for each rank that is ready and takes the kind */
} Roster;

void roster_open(Roster *r, int count, int64_t now_ms, int64_t fixed_limit_ms);
void roster_close(Roster *r);

void roster_progress(Roster *r, Member *m, const char *stage, int done, int total, int64_t now_ms);
bool roster_overdue(const Roster *r, const Member *m, int64_t now_ms);
bool roster_can_work(const Member *m, int64_t now_ms); /* ready, trusted, heard of lately */
bool roster_takes(const Member *m, LeaseKind kind);
/* It works, may soon, or is still waited for: not heard yet, not back from a group that is no more, or about to leave. */
bool roster_is_hoped(const Roster *r, const Member *m, int64_t now_ms);
/* A failed item counts against its worker, also when its tail failed; true when that was one too many (it is now aside). Success forgets
 * them. */
bool roster_count_failure(Roster *r, Member *m, LeaseKind kind, int64_t item);
void roster_count_success(Roster *r, const Member *m);
/* The render that m still decodes while it does something else: a member that takes no work, with the name and rank of m. */
Member *roster_tail(const Roster *r, const Member *m);
/* The render of m becomes its tail, and m is ready. */
void roster_leave_tail(Roster *r, Member *m, int64_t now_ms);
/* item -1: m helps in the render of its group's first rank. */
void roster_start_lease(Roster *r, Member *m, const Lease *l, int64_t shot, int64_t item, int64_t now_ms);
void roster_end_lease(Roster *r, Member *m, MemberState state);
void roster_set_state(Roster *r, Member *m, MemberState state);
/* It has lost its group, and may come back until then. */
void roster_await(Roster *r, Member *m, int64_t until_ms);
/* It was stopped itself: it gets no more work, and its goodbye is waited for ROSTER_BACK_MS. */
void roster_set_leaving(Roster *r, Member *m, int64_t now_ms);
/* The next rank after this one that is ready and takes such work; 0: none. */
int roster_next_ready(const Roster *r, int after, bool renders, bool finishes);

/* ---- groups (roster_groups.c) ----
 * Neighbours form one: ranks 1 to T, T + 1 to 2T, and so on, as soon as all are ready. Where that cannot be, because one of them is
 * lost, dead or set aside (or T does not divide the workers), the rest are spares, of which any T form one. A group lasts until one
 * of its ranks failed or is lost; then its members are free for another. Between two renders its ranks may finish clips, each for
 * itself: the group renders again when all are back. Only ranks that take renders are in groups. */
void roster_form_groups(Roster *r, int64_t now_ms);
bool roster_group_can_work(const Roster *r, const Member *lead, int64_t now_ms);
/* The first of the group that m is in; m itself when it is in none. */
Member *roster_lead(const Roster *r, Member *m);
/* The next member after `m` (NULL: the first) of the lead's group, in the order of ranks, which is their order in the group. */
Member *roster_next_member(const Roster *r, const Member *lead, const Member *m);
void roster_fill_group(const Roster *r, const Member *lead, Lease *l);
void roster_end_group(Roster *r, int64_t group);
void roster_set_group(Roster *r, Member *m, int64_t group, int lead, int next); /* roster_groups.c's */

RosterCount roster_count(const Roster *r, int64_t now_ms);
/* As the ledger keeps it; borrows from m. */
WorkerLine roster_line(const Member *m, double now_s, int64_t now_ms);

#endif
