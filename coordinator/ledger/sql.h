/* sql.h - within the ledger: statements, prepared once, with their values bound by type letters. */
#ifndef REELWRIGHT_LEDGER_SQL_H
#define REELWRIGHT_LEDGER_SQL_H

#include <sqlite3.h>
#include <sys/types.h>

#include "coordinator/ledger/ledger.h"

enum { LEDGER_STATEMENTS = 256 };

struct Ledger {
    sqlite3 *db;
    char *folder, *file;
    bool reads; /* LEDGER_READ */
    struct {    /* the wait for a lock that another process holds: open.c */
        int64_t patience_ms, since_ms, began_ms, looked_ms, tell_ms;
    } lock;
    dev_t device; /* of the file, as it was opened */
    ino_t inode;
    int64_t epoch;  /* 0: none taken, nothing may be written */
    int64_t launch; /* 0: not compared */
    double now_s;   /* of the round */
    bool in_round;
    bool committing;  /* the round's changes are all written, and its COMMIT is or was tried */
    unsigned changes; /* of the round: a bit for each LedgerEvent or LedgerChange in it */
    struct {          /* differences that this transaction makes: counts.h */
        int64_t shots[SHOT_STATES], clips[CLIP_STATES], steps;
    } difference;
    struct LedgerPace { /* of this epoch: its first lease, its last result, and the clips finished in between */
        int64_t finished;
        double first_s, last_s;
    } pace, kept;                  /* kept: as the last commit left it */
    Lease campaign;                /* what every lease says: read once an epoch */
    struct RunningLease **running; /* [running_count], by number: running.h */
    int running_count, running_room;
    struct LedgerMaster *master; /* [master_count]: running.h */
    int master_count, master_room;
    struct { /* the campaign's policy, read once an epoch: review.h */
        ReviewSettings asked;
        uint64_t sample; /* a clip whose number by its id is below is in the sample */
        int accept;      /* so many bad ones of the sample, or fewer: the lot is accepted */
        bool refused;    /* it has more: all are looked at */
    } review;
    struct LedgerAlike *alike; /* what the campaign's shots look like: alike.h; NULL until a clip is finished */
    int64_t pilot_only;        /* 1: only clips of the pilot may be made, for it is not approved; 0: all */
    struct {             /* a hash table by the address of sql; a place that is taken leads to the next free one */
        const char *sql; /* a literal, so its address is always the same */
        sqlite3_stmt *statement;
    } statement[LEDGER_STATEMENTS];
};

typedef enum { CHANGE_PLAN = EV_COUNT, CHANGE_EPOCH, CHANGE_CLOSE, CHANGE_REQUEST, CHANGE_COUNT } LedgerChange;

typedef struct {
    Ledger *ledger;
    sqlite3_stmt *statement;
    Status status;
} Query;

/* What SQLite says, with the file's name. A full disk, a lost device and a corrupt file are ERR_FATAL; a lock: ledger_is_locked. */
Status ledger_sql_fail(Ledger *l, const char *what);
/* The file holds what SQLite never wrote. found: what SQLite says of it. */
Status ledger_sql_damaged(const Ledger *l, ErrClass err, const char *found);
/* types: i int64_t, d double, t text (NULL is NULL). sql must be a literal. */
Status ledger_sql_run(Ledger *l, const char *sql, const char *types, ...);
/* for (Query q = ledger_sql_query(...); ledger_sql_next(&q);) ...; then q.status says how it ended. A loop that is left
 * early calls ledger_sql_end. */
Query ledger_sql_query(Ledger *l, const char *sql, const char *types, ...);
bool ledger_sql_next(Query *q);
void ledger_sql_end(Query *q);
int64_t ledger_sql_int(const Query *q, int column);
double ledger_sql_real(const Query *q, int column);
const char *ledger_sql_text(const Query *q, int column); /* "" for NULL; borrowed until the next row */
/* One number; 0 when there is no row. */
Status ledger_sql_number(Ledger *l, int64_t *value, const char *sql, const char *types, ...);

/* ---- db.c ---- */

/* Several statements without results. what: in the message. */
Status ledger_db_exec(Ledger *l, const char *sql, const char *what);
Status ledger_db_make_tables(Ledger *l);
/* *empty: the file has no tables yet. Any other must be a ledger of this version: ERR_INPUT. */
Status ledger_db_check_format(Ledger *l, bool *empty);
/* BEGIN IMMEDIATE, whoever owns the campaign (owner.h's ledger_begin compares that). Until ledger_commit or ledger_rollback. */
Status ledger_db_begin(Ledger *l, double now_s);
/* The query's one text, or `none` when there is no row; free() it. */
Status ledger_db_read_text(Query q, const char *none, char **text);

#endif
