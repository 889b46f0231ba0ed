#include "withdraw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/deliver/list.h"
#include "coordinator/deliver/sweep.h"
#include "coordinator/ledger/guard.h"
#include "coordinator/ledger/handed.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/watch/audit.h"
#include "coordinator/watch/events.h"
#include "trust/chain.h"

static Status revoke_all(Ledger *l, void *self)
{
    const GuardedClips *found = self;
    for (int64_t i = 0; i < found->count; i++) TRY(guard_revoke(l, &found->clip[i]));
    return guard_drop_shots(l);
}

static Status tell(const char *folder, const char *campaign, const GuardedClips *found)
{
    Audit *a = NULL;
    Events *e = NULL;
    Status status = audit_open(folder, &a);
    if (!failed(status)) status = events_open(folder, campaign, &e);
    for (int64_t i = 0; i < found->count && !failed(status); i++) {
        const GuardedClip *c = &found->clip[i];
        audit_add(a, "revocation", c->clip_id, "{s:s}", "was", ledger_clip_state_name(c->state));
        events_add(e, moment_wall_s(), "clip.revoked", "{s:s,s:s}", "clip", c->clip_id, "reason", c->reason);
        log_line(LOG_WARNING, "clip %s is withdrawn: %s", c->clip_id, c->reason);
    }
    if (!failed(status)) status = audit_flush(a, moment_wall_s());
    if (!failed(status)) status = events_flush(e);
    events_close(&e);
    audit_close(&a);
    return status;
}

static Status find(const char *folder, char **campaign, GuardedClips *found, bool *shots)
{
    Ledger *l = NULL;
    Guard *g = NULL;
    Snapshot s = {0};
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = guard_open(l, &g);
    if (!failed(status)) status = guard_find(g, l, -1, -1, found);
    if (!failed(status)) status = guard_has_shots(l, shots);
    if (!failed(status) && found->count) status = ledger_read_snapshot(l, &s);
    if (s.name) *campaign = text_copy(s.name);
    snapshot_clear(&s);
    guard_close(&g);
    ledger_close(&l);
    return status;
}

Status withdraw_revoked(const char *folder, int64_t launch, int64_t *gone)
{
    GuardedClips found = {0};
    char *campaign = NULL;
    bool shots = false; /* of which a running job could not let go */
    Status status = find(folder, &campaign, &found, &shots);
    if (!failed(status) && (found.count || shots)) {
        status = ledger_amend_folder(folder, launch, "withdrawn", revoke_all, &found);
        if (!failed(status) && found.count) status = tell(folder, campaign, &found);
        if (!failed(status)) status = sweep_leavings(folder, launch);
    }
    if (gone) *gone = failed(status) ? 0 : found.count;
    guard_clear(&found);
    free(campaign);
    return status;
}

/* ---- the list ---- */

static void put_cell(FILE *to, const char *text, const char *end)
{
    deliver_put_quoted(to, text);
    fputs(end, to);
}

typedef struct {
    FILE *to;
    int64_t count;
} List;

static Status put_row(void *self, const RevocationRow *r)
{
    List *list = self;
    char when[32], again[32] = "";
    if (list->count++ == 0)
        fputs("clip_id,revoked_at,reason,was,file,delivered_to,sha256,now,delivered_again_at\n", list->to);
    if (r->delivered_again_s > 0) trust_time_text((int64_t)r->delivered_again_s, again);
    trust_time_text((int64_t)r->revoked_s, when);
    put_cell(list->to, r->clip_id, ",");
    put_cell(list->to, when, ",");
    put_cell(list->to, r->reason, ",");
    put_cell(list->to, r->was, ",");
    put_cell(list->to, r->file, ",");
    char *delivered =
        *r->file && strcmp(r->was, "delivered") == 0 ? text_format("delivery/%s", r->file) : text_copy("");
    put_cell(list->to, delivered, ",");
    put_cell(list->to, r->sha256, ",");
    put_cell(list->to, r->now, ",");
    put_cell(list->to, again, "\n");
    free(delivered);
    return status_ok();
}

Status withdraw_write_list(Ledger *l, const char *folder)
{
    char *text = NULL, *path = path_join(folder, "revoked.csv");
    size_t bytes;
    List list = {.to = open_memstream(&text, &bytes)};
    if (!list.to) abort();
    Status status = handed_read_revocations(l, (RevocationSink){put_row, &list});
    const bool whole = fclose(list.to) == 0;
    if (!failed(status) && !whole) status = status_fail(ERR_NODE, "out of memory for %s", path);
    if (!failed(status) && list.count)
        status = trust_publish(path, text, bytes);
    else if (!failed(status))
        unlink(path);
    free(text);
    free(path);
    return status;
}
