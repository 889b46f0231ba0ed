#include "coordinator/deliver/erase.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/moment.h"
#include "common/place.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/deliver/dossier.h"
#include "coordinator/deliver/scrub.h"
#include "coordinator/deliver/sweep.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/watch/audit.h"

const char *erase_who(const char *by)
{
    const char *user = getenv("USER");
    return by ? by : user && *user ? user : "unknown";
}

typedef struct {
    const char *folder, *by;
    bool take_back;
    char *const *id; /* those that are to go, [ids] */
    int64_t ids, count;
    bool *before;   /* [ids]: erased by an earlier try */
    Erased *erased; /* [count] */
} Erasing;

static void clear(Erasing *x)
{
    for (int64_t i = 0; i < x->count; i++) erased_clear(&x->erased[i]);
    free(x->erased);
    free(x->before);
}

/* ---- what was done before ---- */

/* An id that is gone from the ledger, and of which the record says that it was erased. */
static Status look_back(Erasing *x, int64_t *before)
{
    Audit *a = NULL;
    Ledger *l = NULL;
    *before = 0;
    Status status = ledger_open(x->folder, LEDGER_READ, &l);
    if (!failed(status)) status = audit_open(x->folder, &a);
    for (int64_t i = 0; i < x->ids && !failed(status); i++) {
        bool there = false;
        status = ledger_erase_knows(l, x->id[i], &there);
        if (!failed(status) && !there) status = audit_has(a, "erasure", x->id[i], &x->before[i]);
        *before += x->before[i];
    }
    audit_close(&a);
    ledger_close(&l);
    return status;
}

/* ---- the ledger ---- */

static Status begin_rows(Ledger *l, void *self)
{
    Erasing *x = self;
    for (int64_t i = 0; i < x->ids; i++)
        if (!x->before[i]) TRY(ledger_erase_begin(l, x->id[i], x->take_back, &x->erased[x->count++]));
    return status_ok();
}

static Status end_rows(Ledger *l, void *self)
{
    const Erasing *x = self;
    for (int64_t i = 0; i < x->count; i++) TRY(ledger_erase_end(l, &x->erased[i]));
    return status_ok();
}

static Status compact(const char *folder)
{
    Ledger *l = NULL;
    TRY(ledger_open(folder, LEDGER_WRITE, &l));
    Status status = ledger_compact(l);
    ledger_close(&l);
    if (!failed(status)) ledger_settle(folder);
    return status;
}

/* Once for each, however often it was begun. */
static Status write_audit(const Erasing *x)
{
    Audit *a = NULL;
    TRY(audit_open(x->folder, &a));
    Status status = status_ok();
    for (int64_t i = 0; i < x->count && !failed(status); i++) {
        bool told = false;
        if (x->erased[i].again) status = audit_has(a, "erasure", x->erased[i].clip_id, &told);
        if (!failed(status) && !told)
            audit_add(a, "erasure", x->erased[i].clip_id, "{s:s,s:s}", "sha256", x->erased[i].sha256, "by", x->by);
    }
    if (!failed(status)) status = audit_flush(a, moment_wall_s());
    audit_close(&a);
    return status;
}

/* ---- all of it ---- */

/* A dossier that was written before names the customer's clip. */
static Status renew_dossier(const char *folder)
{
    char *file = path_join(folder, "dossier.json"), *page = path_join(folder, "dossier.html");
    json_t *dossier = NULL;
    Status status = status_ok();
    if (file_exists(file) || file_exists(page)) {
        status = dossier_make(folder, &dossier);
        if (!failed(status)) status = dossier_write(folder, dossier);
        json_decref(dossier);
    }
    free(file);
    free(page);
    return status;
}

/* Refuses a folder that is no campaign's before anything is written there, be it a lock; and a damaged ledger, in which data of a customer
 * could be overlooked. */
static Status check_campaign(const char *folder)
{
    Ledger *l = NULL;
    Status status = ledger_open_whole(folder, &l);
    ledger_close(&l);
    return status;
}

/* First the rows are marked as erased, so that no clip is made of them. */
static Status mark_rows(Erasing *x)
{
    x->erased = memory_get((size_t)x->ids, sizeof *x->erased);
    return ledger_amend_folder(x->folder, 0, "erasing", begin_rows, x);
}

/* While the ledger still has their words, the logs are cleaned of them; then the ledger is. */
static Status erase_rows(Erasing *x)
{
    if (x->count == 0) return status_ok();
    TRY(write_audit(x));
    for (int64_t i = 0; i < x->count; i++) TRY(scrub_folder(x->folder, &x->erased[i]));
    return ledger_amend_folder(x->folder, 0, "erased", end_rows, x);
}

/* Deletes the files that the ledger notes for deletion, and shared files that may hold the same data. */
static Status erase_files(const Erasing *x)
{
    TRY(sweep_leavings(x->folder, 0));
    sweep_drafts(x->folder);
    sweep_shared(x->folder);
    sweep_voices(x->folder);
    place_sweep();
    TRY(compact(x->folder));
    TRY(conclude_pages(x->folder));
    return renew_dossier(x->folder);
}

/* Those who had got the clips are told while the rows still say which clips; that they do not take it keeps nothing from being erased. */
static Status erase_marked(Erasing *x)
{
    int64_t told;
    Status owed = conclude_withdrawal(x->folder, &told);
    char *why = text_copy(owed.message);
    Status status = erase_rows(x);
    if (!failed(status)) status = erase_files(x);
    if (!failed(status) && failed(owed)) status = status_fail(owed.err, "%s", why);
    free(why);
    return status;
}

Status erase_customers(const char *folder, const EraseOptions *o, char *const *id, int64_t count, EraseResult *out)
{
    char *name = foreign_utf8(o->by); /* the record is JSON */
    Erasing x = {.folder = folder,
                 .by = name,
                 .take_back = o->take_back,
                 .id = id,
                 .ids = count,
                 .before = memory_get((size_t)count, 1)};
    int lock = -1;
    *out = (EraseResult){0};
    Status status = check_campaign(folder);
    if (!failed(status)) status = lock_take(folder, false, &lock);
    if (!failed(status)) status = look_back(&x, &out->before);
    if (!failed(status) && out->before < count) status = mark_rows(&x);
    if (!failed(status)) status = erase_marked(&x);
    lock_release(&lock);
    out->rows = x.count;
    for (int64_t i = 0; i < x.count; i++) {
        out->words += x.erased[i].word_count;
        out->removed += x.erased[i].removed;
    }
    clear(&x);
    free(name);
    return status;
}

Status erase_shown(const char *folder, const char *by, const char *cameo, EraseResult *out)
{
    Ledger *l = NULL;
    char **id = NULL;
    int64_t count = 0;
    *out = (EraseResult){0};
    Status status = ledger_open(folder, LEDGER_READ, &l);
    if (!failed(status)) status = ledger_find_shown(l, cameo, &id, &count);
    ledger_close(&l);
    if (!failed(status) && count) status = erase_customers(folder, &(EraseOptions){by, true}, id, count, out);
    for (int64_t i = 0; i < count; i++) free(id[i]);
    free(id);
    return status;
}
