#include "alike.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/looks.h"
#include "coordinator/ledger/view.h"

typedef struct {
    int64_t clip, shot;
    Looks looks;
} Seen;

struct LedgerAlike {
    double least; /* bits: a clip that is nearer is held; NAN: the campaign does not ask */
    Seen *seen;   /* [count], of at most LEDGER_ALIKE_MOST: then the oldest place is taken */
    int count, room, next;
};

static void looks_of(const json_t *document, Looks *out)
{
    looks_from_json(json_object_get(json_object_get(document, "gates"), "pdq"), out);
}

static void forget(LedgerAlike *a, int64_t clip)
{
    for (int i = 0; i < a->count; i++)
        if (a->seen[i].clip == clip) a->seen[i].looks.count = 0;
}

/* Each shot once. */
static void remember(LedgerAlike *a, int64_t clip, int64_t shot, const Looks *looks)
{
    for (int i = 0; i < a->count; i++)
        if (a->seen[i].shot == shot && a->seen[i].looks.count) return;
    if (a->count == a->room && a->room < LEDGER_ALIKE_MOST) {
        a->room = a->room ? 2 * a->room : 256;
        if (a->room > LEDGER_ALIKE_MOST) a->room = LEDGER_ALIKE_MOST;
        a->seen = memory_resize(a->seen, (size_t)a->room, sizeof *a->seen);
    }
    if (a->count < a->room) {
        a->seen[a->count++] = (Seen){clip, shot, *looks};
        return;
    }
    a->seen[a->next] = (Seen){clip, shot, *looks};
    a->next = (a->next + 1) % a->count;
}

static Status read_seen(Ledger *l, LedgerAlike *a)
{
    Query q = ledger_sql_query(l,
                               "SELECT clip, shot, result FROM clips WHERE result IS NOT NULL AND state IN ('approved',"
                               " 'delivered', 'held', 'in review') ORDER BY decided_s",
                               "");
    while (ledger_sql_next(&q)) {
        json_t *document = json_loads(ledger_sql_text(&q, 2), 0, NULL);
        Looks looks;
        looks_of(document, &looks);
        json_decref(document);
        if (looks.count) remember(a, ledger_sql_int(&q, 0), ledger_sql_int(&q, 1), &looks);
    }
    return q.status;
}

/* At the first result of an epoch. */
static Status open_alike(Ledger *l)
{
    char *text = NULL;
    TRY(ledger_read_finish(l, &text));
    json_t *finish = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *least = json_object_get(json_object_get(json_object_get(finish, "gates"), "alike"), "hold_low");
    l->alike = memory_get(1, sizeof *l->alike);
    l->alike->least = json_is_number(least) ? json_number_value(least) : NAN;
    json_decref(finish);
    free(text);
    return isnan(l->alike->least) ? status_ok() : read_seen(l, l->alike);
}

static const Seen *find_nearest(const LedgerAlike *a, int64_t shot, const Looks *looks, double *distance)
{
    const Seen *nearest = NULL;
    *distance = INFINITY;
    for (int i = 0; i < a->count; i++) {
        const Seen *s = &a->seen[i];
        const double d = s->looks.count && s->shot != shot ? looks_distance(&s->looks, looks) : INFINITY;
        if (d >= *distance) continue;
        *distance = d;
        nearest = s;
    }
    return nearest;
}

static Status clip_name(Ledger *l, int64_t clip, char **name)
{
    return ledger_db_read_text(ledger_sql_query(l, "SELECT clip_id FROM clips WHERE clip = ?1", "i", clip), "", name);
}

/* Into "gates" as finishing writes what it measured, with the clip that looks like it. */
static Status note(Ledger *l, json_t *document, const Seen *nearest, double distance)
{
    const bool held = distance < l->alike->least;
    char *other = NULL;
    TRY(clip_name(l, nearest->clip, &other));
    json_object_set_new(json_object_get(json_object_get(document, "gates"), "gates"), "alike",
                        json_pack("{s:f, s:f, s:s, s:[], s:s}", "value", round(distance * 10) / 10, "threshold",
                                  l->alike->least, "verdict", held ? "hold" : "pass", "at", "clip", other));
    free(other);
    if (!held) return status_ok();
    if (!json_is_array(json_object_get(document, "held_by"))) json_object_set_new(document, "held_by", json_array());
    json_array_append_new(json_object_get(document, "held_by"), json_string("alike"));
    return status_ok();
}

Status ledger_alike_judge(Ledger *l, int64_t clip, int64_t shot, const ClipResult *c, char **document)
{
    Looks looks;
    double distance;
    *document = NULL;
    if (!l->alike) TRY(open_alike(l));
    if (isnan(l->alike->least)) return status_ok();
    json_t *j = c->document ? json_loads(c->document, 0, NULL) : NULL;
    looks_of(j, &looks);
    forget(l->alike, clip);
    const Seen *nearest = looks.count ? find_nearest(l->alike, shot, &looks, &distance) : NULL;
    Status status = nearest ? note(l, j, nearest, distance) : status_ok();
    if (nearest && !failed(status)) *document = json_dumps(j, JSON_COMPACT);
    if (looks.count && !failed(status)) remember(l->alike, clip, shot, &looks);
    json_decref(j);
    return status;
}

void ledger_alike_free(LedgerAlike **a)
{
    if (!*a) return;
    free((*a)->seen);
    free(*a);
    *a = NULL;
}
