#include "again.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/gates.h"
#include "coordinator/ledger/reseed.h"
#include "coordinator/ledger/sql.h"
#include "coordinator/ledger/view.h"

/* "held by flicker, blur" or "gate black: 0.5 s, ..." */
static const char *after(const char *text, const char *start)
{
    const size_t n = strlen(start);
    return strncmp(text, start, n) == 0 ? text + n : NULL;
}

static int allowed(const json_t *gates, const char *name, size_t bytes)
{
    char key[64];
    if (bytes >= sizeof key) return 0;
    memcpy(key, name, bytes);
    key[bytes] = 0;
    return (int)json_number_value(json_object_get(json_object_get(gates, key), "again"));
}

/* The reason names gates. Returns the smallest number of new renders that one of them allows; 0: the reason names no gate. */
static int least_allowed(const json_t *gates, const char *reason)
{
    const char *list = after(reason, "held by "), *one = after(reason, "gate ");
    if (one) return allowed(gates, one, strcspn(one, ":"));
    int least = list ? GATE_MAX_AGAIN : 0;
    while (list && *list) {
        const size_t n = strcspn(list, ",");
        const int times = allowed(gates, list, n);
        if (times < least) least = times;
        list += n;
        list += strspn(list, ", ");
    }
    return least;
}

static Status read_allowed(Ledger *l, const char *reason, int *times)
{
    char *text = NULL;
    *times = 0;
    TRY(ledger_read_finish(l, &text));
    json_t *document = text ? json_loads(text, 0, NULL) : NULL;
    *times = least_allowed(json_object_get(document, "gates"), reason);
    json_decref(document);
    free(text);
    return status_ok();
}

typedef struct {
    int64_t clip, before; /* -1: not such a clip; times that it was rendered again */
    char *reason;
} Found;

static Status find(Ledger *l, const char *clip_id, Found *f)
{
    *f = (Found){.clip = -1};
    Query q = ledger_sql_query(l,
                               "SELECT clip, reason, (SELECT count(*) FROM decisions d WHERE d.clip = clips.clip"
                               " AND verb = 'again') FROM clips"
                               " WHERE clip_id = ?1 AND state IN ('held', 'failed') AND reason IS NOT NULL",
                               "t", clip_id);
    if (!ledger_sql_next(&q)) return q.status;
    f->clip = ledger_sql_int(&q, 0);
    f->reason = text_copy(ledger_sql_text(&q, 1));
    f->before = ledger_sql_int(&q, 2);
    ledger_sql_end(&q);
    return status_ok();
}

static Status render_again(Ledger *l, const char *clip_id, const Found *f, LedgerAgain *out)
{
    int64_t changed = 0;
    out->time = (int)f->before + 1;
    snprintf(out->why, sizeof out->why, "%s", f->reason);
    TRY(ledger_sql_run(l,
                       "INSERT INTO decisions(clip, verb, reviewer, reason, sha256, decided_s)"
                       " SELECT clip, 'again', '', ?2, ifnull(sha256, ''), ?3 FROM clips WHERE clip = ?1",
                       "itd", f->clip, f->reason, l->now_s));
    TRY(ledger_reseed_again(l, clip_id, &out->seed, &changed));
    out->again = changed > 0;
    return status_ok();
}

Status ledger_count_again(Ledger *l, int64_t *times)
{
    return ledger_sql_number(l, times, "SELECT count(*) FROM decisions WHERE verb = 'again'", "");
}

Status ledger_again(Ledger *l, const char *clip_id, LedgerAgain *out)
{
    Found f;
    int times = 0;
    *out = (LedgerAgain){0};
    Status status = find(l, clip_id, &f);
    if (!failed(status) && f.clip >= 0) status = read_allowed(l, f.reason, &times);
    if (!failed(status) && f.clip >= 0 && f.before < times) status = render_again(l, clip_id, &f, out);
    free(f.reason);
    return status;
}
