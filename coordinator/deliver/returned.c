#define uthash_fatal(message) abort()
#include "coordinator/deliver/returned.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "common/file.h"
#include "coordinator/watch/audit.h"

typedef struct {
    char token[AUDIT_TOKEN];
    UT_hash_handle hh;
} Gone;

static Status note_erasure(void *self, const json_t *line)
{
    Gone **all = self, *g = NULL;
    const char *what = json_string_value(json_object_get(line, "what")),
               *clip = json_string_value(json_object_get(line, "clip"));
    if (!what || !clip || strcmp(what, "erasure") != 0 || strlen(clip) != AUDIT_TOKEN - 1) return status_ok();
    HASH_FIND_STR(*all, clip, g);
    if (g) return status_ok();
    g = memory_get(1, sizeof *g);
    memcpy(g->token, clip, AUDIT_TOKEN);
    HASH_ADD_STR(*all, token, g);
    return status_ok();
}

static void refuse(Campaign *c, int64_t row)
{
    PlannedClip *p = &c->clip[row];
    char **value = c->customers.value + row * c->customers.column_count;
    free(p->refusal);
    p->refusal = text_copy("this customer was erased from this folder: take the row out of the table; who comes back "
                           "gets another id");
    p->erased = true;
    p->suppressed = false;
    p->shot = -1;
    p->finish = NULL;
    for (int i = 0; i < c->customers.column_count; i++)
        if (i != c->customers.id_column) value[i] = (char *)(uintptr_t) "";
}

/* The ledger keeps a tombstone of each: without one there is nothing to look for in a long record. A ledger in which no campaign can be read has
 * none here: its first run was killed, or it is damaged, which the comparison with the folder finds. */
static Status has_tombstones(const char *folder, bool *yes)
{
    Ledger *l = NULL;
    Snapshot now = {0};
    char *file = path_join(folder, "ledger.db");
    const bool there = file_exists(file);
    free(file);
    *yes = false;
    if (!there) return status_ok();
    Status status = ledger_open_shown(folder, &l);
    if (!failed(status)) status = ledger_read_snapshot(l, &now);
    *yes = !failed(status) && now.clip_count[CLIP_ERASED] > 0;
    snapshot_clear(&now);
    ledger_close(&l);
    if (status.err == ERR_INPUT) return status_ok();
    return status;
}

Status returned_refuse(const char *folder, Campaign *c)
{
    Audit *a = NULL;
    Gone *all = NULL, *g, *next;
    TrustChain chain;
    bool any = false;
    TRY(has_tombstones(folder, &any));
    if (!any) return status_ok();
    TRY(audit_open(folder, &a));
    Status status = audit_read(folder, (TrustChainSink){note_erasure, &all}, &chain);
    for (int64_t row = 0; all && row < c->clip_count && !failed(status); row++) {
        char token[AUDIT_TOKEN];
        audit_token(a, c->clip[row].clip_id, token);
        HASH_FIND_STR(all, token, g);
        if (g) refuse(c, row);
    }
    HASH_ITER(hh, all, g, next)
    {
        HASH_DEL(all, g);
        free(g);
    }
    audit_close(&a);
    return status;
}
