#include "handover.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/command.h"
#include "common/file.h"
#include "common/moment.h"
#include "coordinator/watch/events.h"
#include "coordinator/watch/webhook.h"

enum { FIRST_PAUSE_MS = 1000, MOST_PAUSE_MS = 60000, MOST_THREADS = 64 };

static const char *const way_names[] = {[HANDOVER_UPLOAD] = "upload", [HANDOVER_WEBHOOK] = "webhook"};

const char *handover_way_name(HandoverWay way) { return way_names[way]; }

/* ---- the order ---- */

/* file: the clip's first, in whose folder the others are. */
static json_t *file_list(const char *file, const json_t *files, const char *delivery, Hash *key)
{
    json_t *list = json_array(), *item;
    char *folder = path_folder(file);
    size_t i;
    json_array_foreach(files, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name")),
                   *sha256 = json_string_value(json_object_get(item, "sha256"));
        if (!name || !sha256) continue;
        char *path = text_format("%s/%s/%s", delivery, folder, name);
        json_array_append_new(list, json_pack("{s:s,s:O,s:s,s:s}", "name", name, "bytes",
                                              json_object_get(item, "bytes"), "sha256", sha256, "path", path));
        hash_add_field(key, "file", "%s %s", name, sha256);
        free(path);
    }
    free(folder);
    return list;
}

static void copy_text(json_t *to, const char *key, const json_t *from)
{
    const char *text = json_string_value(json_object_get(from, key));
    if (text) json_object_set_new(to, key, json_string(text));
}

static char *dump(json_t *o) /* takes it */
{
    char *text = json_dumps(o, JSON_COMPACT);
    if (!text) abort();
    json_decref(o);
    return text;
}

/* Adds what an order says of the receiver's work, of both kinds. */
static void address(json_t *order, const char *action, const char *clip_id, const char *key, const HandoverFrom *from)
{
    json_object_set_new(order, "action", json_string(action));
    json_object_set_new(order, "campaign", json_string(from->campaign));
    json_object_set_new(order, "clip", json_string(clip_id));
    json_object_set_new(order, "key", json_string(key));
    json_object_set_new(order, "folder", json_string(from->folder));
}

void handover_make(HandoverWay way, const ClipRow *r, int64_t times, const HandoverFrom *from, Handover *out)
{
    json_t *result = json_loads(r->result, 0, NULL), *own = json_loads(r->finish, 0, NULL), *order = json_object();
    const json_t *upload = json_object_get(result, way_names[HANDOVER_UPLOAD]);
    const char *answer = json_string_value(json_object_get(upload, "answer")),
               *uploaded = json_string_value(json_object_get(upload, "key"));
    Hash *h = hash_begin();
    *out = (Handover){.clip = r->clip, .clip_id = text_copy(r->clip_id)};
    hash_add_field(h, "campaign", "%s", from->campaign);
    hash_add_field(h, "clip", "%s", r->clip_id);
    if (times) hash_add_field(h, "withdrawn", "%lld", (long long)times);
    json_t *files = file_list(r->file, json_object_get(result, "files"), from->folder, h);
    hash_end(h, out->key);
    if (way == HANDOVER_WEBHOOK && uploaded) snprintf(out->key, sizeof out->key, "%s", uploaded);
    address(order, "deliver", r->clip_id, out->key, from);
    json_object_set_new(order, "files", files);
    copy_text(order, "page", result);
    copy_text(order, "captions", result);
    copy_text(order, "variant", own);
    if (answer) json_object_set_new(order, "uploaded", json_string(answer));
    out->order = dump(order);
    json_decref(own);
    json_decref(result);
}

void handover_make_withdrawal(const HandedRow *r, const HandoverFrom *from, Handover *out)
{
    json_t *order = json_loads(r->document, 0, NULL);
    if (!json_is_object(order)) json_decref(order), order = json_object();
    *out = (Handover){.clip = r->id, .clip_id = text_copy(r->clip_id), .withdraw = true};
    snprintf(out->key, sizeof out->key, "%s", r->key);
    address(order, "withdraw", r->clip_id, r->key, from);
    if (!json_object_get(order, "files")) json_object_set_new(order, "files", json_array());
    out->order = dump(order);
}

char *handover_kept(const Handover *h)
{
    static const char *const said_anew[] = {"action", "campaign", "clip", "key", "folder"};
    json_t *o = json_loads(h->order, 0, NULL), *file;
    size_t i;
    for (size_t k = 0; k < sizeof said_anew / sizeof *said_anew; k++) json_object_del(o, said_anew[k]);
    json_array_foreach(json_object_get(o, "files"), i, file) json_object_del(file, "path");
    if (h->answer && *h->answer) json_object_set_new(o, "uploaded", json_string(h->answer));
    if (!h->done) json_object_set_new(o, "perhaps", json_true());
    return dump(o);
}

void handover_clear(Handover *h)
{
    free(h->clip_id);
    free(h->order);
    free(h->answer);
    free(h->reason);
    *h = (Handover){0};
}

/* ---- one ---- */

/* The address in what a command printed: "url" of a JSON object, else its first line. */
static char *answer_of(char *text)
{
    json_t *o = json_loads(text, 0, NULL);
    const char *url = json_string_value(json_object_get(o, "url"));
    char *answer = url ? text_copy(url) : NULL;
    json_decref(o);
    if (!answer) {
        text += strspn(text, " \t\r\n");
        text[strcspn(text, "\r\n")] = 0;
        answer = text_copy(text);
    }
    if (strlen(answer) > HANDOVER_ANSWER_BYTES) answer[HANDOVER_ANSWER_BYTES] = 0;
    json_t *valid = json_string(answer); /* NULL: no UTF-8 */
    if (!valid) *answer = 0;
    json_decref(valid);
    return answer;
}

static Status upload(const DeliverySettings *s, Handover *h)
{
    const Command c = {.command = s->upload, .input = h->order, .limit_s = s->time_limit_s, .most_bytes = 1 << 20};
    CommandAnswer a;
    Status status = command_run(&c, &a);
    if (!failed(status)) h->answer = answer_of(a.out);
    h->unknown = h->unknown || !a.answered;
    command_clear(&a);
    return status;
}

typedef struct {
    HandoverWay way;
    const DeliverySettings *settings;
    unsigned char *key;
    size_t key_bytes;
    Handover *const *handover;
    int count, next, in_a_row;
    pthread_mutex_t mutex;
} Work;

/* The files' names and hashes, without the paths of this machine. */
static char *event_body(const Handover *h)
{
    char when[32];
    json_t *o = json_loads(h->order, 0, NULL), *file;
    size_t i;
    events_time(moment_wall_s(), when);
    json_object_set_new(o, "event", json_string(h->withdraw ? "clip.withdrawn" : "clip.delivered"));
    json_object_del(o, "action");
    json_object_set_new(o, "time", json_string(when));
    json_object_del(o, "folder");
    json_array_foreach(json_object_get(o, "files"), i, file) json_object_del(file, "path");
    return dump(o);
}

static Status post(const Work *w, Handover *h)
{
    bool answered = false;
    char other[HASH_TEXT], *what = text_format("%s%s", h->withdraw ? "withdraw " : "", h->key);
    hash_bytes(what, strlen(what), other);
    char *body = event_body(h), *id = text_format("msg_%.24s", h->withdraw ? other : h->key);
    free(what);
    const WebhookPost p = {.address = w->settings->webhook,
                           .id = id,
                           .body = body,
                           .key = w->key,
                           .key_bytes = w->key_bytes,
                           .timestamp_s = (int64_t)moment_wall_s(),
                           .limit_s = w->settings->time_limit_s,
                           .answered = &answered};
    Status status = webhook_post(&p);
    h->unknown = h->unknown || !answered;
    free(body);
    free(id);
    return status;
}

static bool has_given_up(Work *w)
{
    pthread_mutex_lock(&w->mutex);
    const bool given_up = w->in_a_row >= HANDOVER_GIVE_UP_AFTER;
    pthread_mutex_unlock(&w->mutex);
    return given_up;
}

static void hand_over(Work *w, Handover *h)
{
    Status status = status_ok();
    int64_t pause_ms = FIRST_PAUSE_MS;
    for (int most = w->settings->retries + 1; h->tries < most; pause_ms *= 2) {
        h->tries++;
        status = w->way == HANDOVER_UPLOAD ? upload(w->settings, h) : post(w, h);
        if (!failed(status) || status.err == ERR_INPUT || h->tries == most || has_given_up(w)) break;
        moment_sleep_ms((int)(pause_ms < MOST_PAUSE_MS ? pause_ms : MOST_PAUSE_MS));
    }
    h->done = !failed(status);
    if (!h->done) h->reason = text_copy(status.message);
}

static void *work(void *self)
{
    Work *w = self;
    for (;;) {
        pthread_mutex_lock(&w->mutex);
        Handover *h = w->next < w->count ? w->handover[w->next++] : NULL;
        const bool given_up = w->in_a_row >= HANDOVER_GIVE_UP_AFTER;
        pthread_mutex_unlock(&w->mutex);
        if (!h) return NULL;
        if (given_up) {
            h->reason = text_format("not tried, for the last %d failed", HANDOVER_GIVE_UP_AFTER);
            continue;
        }
        hand_over(w, h);
        pthread_mutex_lock(&w->mutex);
        w->in_a_row = h->done ? 0 : w->in_a_row + 1;
        pthread_mutex_unlock(&w->mutex);
    }
}

void handover_all(HandoverWay way, const DeliverySettings *s, const char *secret_file, Handover *const *h, int count,
                  int *failed_in_a_row)
{
    pthread_t thread[MOST_THREADS];
    int threads = 0;
    Work w = {.way = way, .settings = s, .handover = h, .count = count, .in_a_row = *failed_in_a_row};
    Status status = way == HANDOVER_WEBHOOK ? webhook_read_key(secret_file, &w.key, &w.key_bytes) : status_ok();
    if (failed(status)) {
        for (int i = 0; i < count; i++) h[i]->reason = text_copy(status.message);
        return;
    }
    pthread_mutex_init(&w.mutex, NULL);
    while (threads < s->parallel - 1 && threads < count - 1 && threads < MOST_THREADS)
        if (pthread_create(&thread[threads], NULL, work, &w) == 0)
            threads++;
        else
            break;
    work(&w); /* this thread, too */
    for (int i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&w.mutex);
    *failed_in_a_row = w.in_a_row;
    if (w.key) memset(w.key, 0, w.key_bytes);
    free(w.key);
}

/* ---- what the ledger keeps ---- */

char *handover_document(const Handover *h)
{
    json_t *o =
        json_pack("{s:s,s:i,s:f,s:b}", "key", h->key, "tries", h->tries, "at", moment_wall_s(), "done", h->done);
    if (h->answer && *h->answer) json_object_set_new(o, "answer", json_string(h->answer));
    json_t *reason = h->reason ? json_string(h->reason) : NULL;
    if (h->reason) json_object_set_new(o, "reason", reason ? reason : json_string("failed"));
    return dump(o);
}

bool handover_waits(const char *document, HandoverWay way)
{
    json_t *o = *document ? json_loads(document, 0, NULL) : NULL;
    const bool waits = json_is_false(json_object_get(json_object_get(o, way_names[way]), "done"));
    json_decref(o);
    return waits;
}

char *handover_reason(const char *document)
{
    json_t *o = *document ? json_loads(document, 0, NULL) : NULL;
    const char *suppressed = json_string_value(json_object_get(o, "suppressed"));
    char *text = suppressed ? text_copy(suppressed) : NULL;
    for (int i = 0; i < HANDOVER_WAYS && !text; i++) {
        const char *reason = json_string_value(json_object_get(json_object_get(o, way_names[i]), "reason"));
        if (reason) text = text_format("%s: %s", way_names[i], reason);
    }
    json_decref(o);
    return text;
}
