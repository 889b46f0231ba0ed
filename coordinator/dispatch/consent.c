/* consent.c - a person whose likeness is in the clips may take the consent back at any moment of the night. Then workers give up what they
 * make with it, finished clips are deleted from the folder, and no lease is given for it any more. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "coordinator/dispatch/inside.h"

/* ---- files, after the commit: the ledger says already that they must go (update.h), whoever is killed ---- */

void dispatch_remove_withdrawn(Dispatch *d)
{
    static const char *const place[] = {"clips", "delivery", "delivery/clips"};
    for (size_t i = 0; d->withdrawn_count && i < sizeof place / sizeof *place; i++) {
        char *path = path_join(ledger_folder(d->ledger), place[i]);
        DIR *dir = opendir(path);
        for (struct dirent *e; dir && (e = readdir(dir));)
            for (int64_t k = 0; k < d->withdrawn_count; k++) {
                const size_t n = strlen(d->withdrawn[k]);
                if (strncmp(e->d_name, d->withdrawn[k], n) == 0 && e->d_name[n] == '.')
                    unlinkat(dirfd(dir), e->d_name, 0);
            }
        if (dir) closedir(dir);
        free(path);
    }
    dispatch_forget_withdrawn(d);
}

void dispatch_forget_withdrawn(Dispatch *d)
{
    for (int64_t i = 0; i < d->withdrawn_count; i++) free(d->withdrawn[i]);
    d->withdrawn_count = 0;
}

/* ---- in a round ---- */

static Status withdraw_one(Dispatch *d, GuardedClip *c)
{
    if (c->state == CLIP_FINISHING) {
        int64_t *lease = memory_get(1, sizeof *lease);
        *lease = c->lease;
        TRY(dispatch_end_leases(d, status_ok(), lease, 1, "its consent does not hold any more"));
    }
    TRY(guard_revoke(d->ledger, c));
    dispatch_event(d, "clip.revoked", "{s:s,s:s}", "clip", c->clip_id, "reason", c->reason);
    audit_add(d->audit, "revocation", c->clip_id, "{s:s}", "was", ledger_clip_state_name(c->state));
    log_line(LOG_WARNING, "clip %s is withdrawn: %s", c->clip_id, c->reason);
    d->withdrawn = memory_resize(d->withdrawn, (size_t)d->withdrawn_count + 1, sizeof *d->withdrawn);
    d->withdrawn[d->withdrawn_count++] = text_copy(c->stem);
    d->changes++;
    return status_ok();
}

/* Ends the renders whose shots no clip wants any more. */
static Status withdraw(Dispatch *d, GuardedClips *found)
{
    int64_t *lease = NULL, count = 0;
    if (found->count == 0) return status_ok();
    TRY(dispatch_begin_changes(d));
    for (int64_t i = 0; i < found->count; i++) TRY(withdraw_one(d, &found->clip[i]));
    Status status = ledger_unwanted_leases(d->ledger, &lease, &count);
    TRY(dispatch_end_leases(d, status, lease, count, "its consent does not hold any more"));
    d->files.sweep = true;
    return dispatch_fill_queues(d);
}

Status dispatch_look_at_consents(Dispatch *d)
{
    GuardedClips found = {0};
    if (!guard_is_due(d->guard, d->now_ms)) return status_ok();
    Status status = guard_find(d->guard, d->ledger, -1, -1, &found);
    if (!failed(status)) status = withdraw(d, &found);
    if (failed(status)) guard_look_again(d->guard);
    guard_clear(&found);
    return status;
}

Status dispatch_ask_consent(Dispatch *d, int64_t shot, int64_t clip, bool *holds)
{
    GuardedClips found = {0};
    Status status = guard_find(d->guard, d->ledger, shot, clip, &found);
    *holds = found.count == 0;
    if (!failed(status)) status = withdraw(d, &found);
    guard_clear(&found);
    return status;
}

/* Writes into the record by which consent a lease was given. */
void dispatch_note_consent(Dispatch *d, const Lease *l)
{
    if (d->guard && l->kind == LEASE_FINISH && l->clip_finish && strstr(l->clip_finish, "\"cameo\""))
        audit_add(d->audit, "consent.used", l->clip_id, "{s:i,s:I,s:s}", "consent",
                  guard_consent(d->guard, l->clip_finish), "lease", l->lease, "shot", l->key);
}
