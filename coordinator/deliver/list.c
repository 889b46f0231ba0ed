#include "list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/file.h"
#include "common/foreign.h"
#include "coordinator/campaign/list_columns.h"
#include "coordinator/deliver/handover.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/watch/events.h"

static void put_letters(FILE *f, const char *text, bool quoted)
{
    for (const char *p = text; *p; p++) {
        const size_t control = foreign_control(p);
        if (control)
            p += control - 1;
        else if (quoted && *p == '"')
            putc('"', f);
        putc(control ? '?' : *p, f);
    }
}

void deliver_put_quoted(FILE *f, const char *text)
{
    fputs(list_is_formula(text) ? "\"'" : "\"", f);
    put_letters(f, text, true);
    putc('"', f);
}

static void put_field(FILE *f, const char *text)
{
    const size_t n = strlen(text);
    if (text[strcspn(text, ",\"\r\n")] || (n > 0 && (text[0] == ' ' || text[n - 1] == ' '))) {
        deliver_put_quoted(f, text);
        return;
    }
    if (list_is_formula(text)) putc('\'', f);
    put_letters(f, text, false);
}

/* Every element of a JSON array of texts, each followed by a comma. */
static Status put_json_fields(FILE *f, const char *json)
{
    json_t *list = json_loads(json, 0, NULL), *item;
    size_t i;
    if (!json_is_array(list)) {
        json_decref(list);
        return status_fail(ERR_FATAL,
                           "ledger.db has a damaged row: %.60s. Put a whole copy of the file back, or run the "
                           "campaign with another --out",
                           json);
    }
    json_array_foreach(list, i, item)
    {
        put_field(f, json_is_string(item) ? json_string_value(item) : "");
        putc(',', f);
    }
    json_decref(list);
    return status_ok();
}

typedef struct {
    FILE *file;
    char *model;
    HandoverWay way; /* of a list of handovers */
} List;

/* Names of a JSON list, "name;city". */
static void put_names(FILE *f, const json_t *list)
{
    size_t i;
    json_t *item;
    char *all = text_copy("");
    json_array_foreach(list, i, item)
    {
        char *more = text_format("%s%s%s", all, i ? ";" : "", json_is_string(item) ? json_string_value(item) : "");
        free(all);
        all = more;
    }
    put_field(f, all);
    free(all);
}

/* A file that stands beside the clip, by the name that its finish gave. */
static void put_beside(FILE *f, const ClipRow *r, const json_t *result, const char *key)
{
    const char *name = json_string_value(json_object_get(result, key));
    putc(',', f);
    if (!name || !*r->file) return;
    char *folder = path_folder(r->file), *path = path_join(folder, name);
    put_field(f, path);
    free(path);
    free(folder);
}

/* What has to be said when it is uploaded: platforms ask whether AI made it (Google Ads: contains synthetic content), and the clip's own
 * mark. */
static void put_disclosure(FILE *f, const ClipRow *r)
{
    putc(',', f);
    if (!*r->file) return;
    fputs("synthetic", f);
    if (*r->label) fprintf(f, ";label=%s", r->label);
}

static void put_made(FILE *f, const ClipRow *r)
{
    json_t *own = *r->finish ? json_loads(r->finish, 0, NULL) : NULL,
           *result = *r->result ? json_loads(r->result, 0, NULL) : NULL;
    const char *variant = json_string_value(json_object_get(own, "variant"));
    putc(',', f);
    put_names(f, json_object_get(own, "fallbacks"));
    putc(',', f);
    put_field(f, variant ? variant : "");
    put_beside(f, r, result, "captions");
    put_beside(f, r, result, "gif");
    put_beside(f, r, result, "page");
    put_disclosure(f, r);
    static const char *const said[] = {"credentials", "watermark"};
    for (int i = 0; i < 2; i++) {
        const char *text = json_string_value(json_object_get(result, said[i]));
        putc(',', f);
        put_field(f, *r->file && text ? text : "");
    }
    json_decref(own);
    json_decref(result);
}

static Status put_row(void *self, const ClipRow *r)
{
    List *list = self;
    FILE *f = list->file;
    char when[32] = "";
    bool finished = *r->file != 0;
    TRY(put_json_fields(f, r->customer));
    if (r->decided_s > 0) events_time(r->decided_s, when);
    char *why = finished && !*r->reason ? handover_reason(r->result) : NULL;
    const char *const text[] = {r->clip_id, r->state, why ? why : r->reason, r->file, r->thumbnail, r->sha256};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        put_field(f, text[i]);
        putc(',', f);
    }
    free(why);
    if (finished)
        fprintf(f, "%.6g,%d,%d,", r->duration_s, r->width, r->height);
    else
        fputs(",,,", f);
    if (r->shot >= 0)
        fprintf(f, "%" PRIu64 ",%s,", r->seed, r->key);
    else
        fputs(",,", f);
    put_field(f, list->model);
    putc(',', f);
    put_field(f, r->reviewer);
    fprintf(f, ",%s", when);
    put_made(f, r);
    putc('\n', f);
    return status_ok();
}

static void put_handover(const List *list, const char *clip_id, const char *state, const json_t *document)
{
    const json_t *uploaded = json_object_get(document, "uploaded");
    const char *answer = json_string_value(uploaded ? uploaded : json_object_get(document, "answer")),
               *reason = json_string_value(json_object_get(document, "reason"));
    const json_t *tries = json_object_get(document, "tries");
    char when[32] = "";
    if (json_is_true(json_object_get(document, "done")))
        events_time(json_number_value(json_object_get(document, "at")), when);
    put_field(list->file, clip_id);
    fprintf(list->file, ",%s,%s,", state, when);
    if (list->way == HANDOVER_UPLOAD) {
        put_field(list->file, answer ? answer : "");
        putc(',', list->file);
    }
    if (tries) fprintf(list->file, "%lld", (long long)json_integer_value(tries));
    putc(',', list->file);
    put_field(list->file, reason ? reason : json_is_false(json_object_get(document, "done")) ? "not tried yet" : "");
    putc('\n', list->file);
}

static Status put_handed(void *self, const ClipRow *r)
{
    const List *list = self;
    json_t *result = *r->result ? json_loads(r->result, 0, NULL) : NULL;
    const json_t *document = json_object_get(result, handover_way_name(list->way));
    if (document) put_handover(list, r->clip_id, r->state, document);
    json_decref(result);
    return status_ok();
}

static Status put_open(void *self, const HandedRow *r)
{
    const List *list = self;
    const char *state = strcmp(r->state, "owed") == 0        ? "to be withdrawn"
                        : strcmp(r->state, "withdrawn") == 0 ? r->state
                        : list->way == HANDOVER_UPLOAD       ? "perhaps uploaded"
                                                             : "perhaps told";
    json_t *document = json_loads(r->document, 0, NULL);
    if (*r->reason) json_object_set_new(document, "tries", json_integer(r->tries));
    if (strcmp(r->state, "owed") == 0)
        json_object_set_new(document, "reason", json_string(*r->reason ? r->reason : "not tried yet"));
    put_handover(list, r->clip_id, state, document);
    json_decref(document);
    return status_ok();
}

/* Some rows at a time: with a rollback journal the coordinator cannot commit while somebody reads. */
static Status put_rows(Ledger *l, List *list, Status (*put)(void *self, const ClipRow *r))
{
    enum { STRIDE = 4096 };
    int64_t end;
    TRY(ledger_find_ends(l, &end, NULL));
    for (int64_t row = 0; row < end; row += STRIDE)
        TRY(ledger_read_clip_range(l, row, row + STRIDE, (ClipSink){put, list}));
    return status_ok();
}

static Status put_list(FILE *f, void *ledger)
{
    Ledger *l = ledger;
    Snapshot s;
    char *columns = NULL;
    TRY(ledger_read_snapshot(l, &s));
    Settings settings = {0};
    Status status = ledger_read_settings(l, &settings);
    if (!failed(status) && settings.list_bom) fputs("\xef\xbb\xbf", f);
    settings_clear(&settings);
    List list = {.file = f, .model = text_format("%s@%.12s", path_name(s.model_folder), s.model_hash)};
    if (!failed(status)) status = ledger_read_columns(l, &columns);
    if (!failed(status)) status = put_json_fields(f, columns);
    for (int i = 0; i < LIST_COLUMNS && !failed(status); i++)
        fprintf(f, "%s%c", list_column[i], i + 1 < LIST_COLUMNS ? ',' : '\n');
    if (!failed(status)) status = put_rows(l, &list, put_row);
    free(columns);
    free(list.model);
    snapshot_clear(&s);
    return status;
}

static Status put_handovers(Ledger *l, FILE *f, HandoverWay way)
{
    List list = {.file = f, .way = way};
    fputs(way == HANDOVER_UPLOAD ? "clip_id,status,uploaded_at,answer,tries,reason\n"
                                 : "clip_id,status,told_at,tries,reason\n",
          f);
    TRY(put_rows(l, &list, put_handed));
    return handed_read_open(l, handover_way_name(way), (HandedSink){put_open, &list});
}

static Status put_uploads(FILE *f, void *ledger) { return put_handovers(ledger, f, HANDOVER_UPLOAD); }

static Status put_webhooks(FILE *f, void *ledger) { return put_handovers(ledger, f, HANDOVER_WEBHOOK); }

Status deliver_write_list(Ledger *l, const char *file) { return file_write(file, put_list, l); }

Status deliver_write_uploads(Ledger *l, const char *file) { return file_write(file, put_uploads, l); }

Status deliver_write_webhooks(Ledger *l, const char *file) { return file_write(file, put_webhooks, l); }
