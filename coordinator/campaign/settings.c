#include "settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "common/file.h"

static const char *const stage_names[STAGE_COUNT] = {"load", "text", "denoise", "decode", "finish"};

const char *const settings_event[] = {"run.finished",  "run.stopped",      "run.stuck",
                                      "run.max_fails", "run.waiting",      "pilot.ready",
                                      "clip.failed",   "deadline.at_risk", NULL};

const char *stage_name(Stage s) { return stage_names[s]; }

int stage_find(const char *name)
{
    for (int i = 0; i < STAGE_COUNT; i++)
        if (strcmp(stage_names[i], name) == 0) return i;
    return -1;
}

static const char *const policy_names[] = {[REVIEW_NONE] = "none", [REVIEW_SAMPLE] = "sample", [REVIEW_ALL] = "all"};

ReviewPolicy review_policy_find(const char *name)
{
    for (int i = REVIEW_SAMPLE; name && i <= REVIEW_ALL; i++)
        if (strcmp(policy_names[i], name) == 0) return (ReviewPolicy)i;
    return REVIEW_NONE;
}

void settings_clear(Settings *s)
{
    free(s->notify.webhook);
    free(s->notify.command);
    free(s->notify.secret_file);
    free(s->review.series);
    free(s->delivery.upload);
    free(s->delivery.webhook);
    free(s->delivery.suppress);
    for (int i = 0; i < s->delivery.suppress_by_count; i++) free(s->delivery.suppress_by[i]);
    memset(s, 0, sizeof *s);
}

/* ---- as JSON ---- */

static json_t *delivery_json(const DeliverySettings *d)
{
    json_t *by = json_array();
    for (int i = 0; i < d->suppress_by_count; i++) json_array_append_new(by, json_string(d->suppress_by[i]));
    return json_pack("{s:s?,s:s?,s:s?,s:o,s:f,s:i,s:i}", "upload", d->upload, "webhook", d->webhook, "suppress",
                     d->suppress, "suppress_by", by, "time_limit", d->time_limit_s, "retries", d->retries, "parallel",
                     d->parallel);
}

char *settings_to_json(const Settings *s)
{
    json_t *limits = json_object(), *events = json_array();
    for (int i = 0; i < STAGE_COUNT; i++) json_object_set_new(limits, stage_names[i], json_integer(s->limit_s[i]));
    for (int i = 0; i < s->notify.event_count; i++) json_array_append_new(events, json_string(s->notify.event[i]));
    json_t *all =
        json_pack("{s:i,s:i,s:s,s:f,s:b,s:o,s:s?,s:s?,s:s?,s:o,s:b,s:b,s:{s:s,s:f,s:b,s:f,s:s?}}", "priority",
                  s->priority, "pilot", s->pilot, "deadline", s->deadline, "max_fails", s->max_fails.count,
                  "max_fails_percent", s->max_fails.percent, "limits", limits, "webhook", s->notify.webhook, "command",
                  s->notify.command, "secret_file", s->notify.secret_file, "events", events, "mixed", s->mixed,
                  "keep_masters", s->keep_masters, "review", "policy", policy_names[s->review.policy], "lq",
                  s->review.lq, "four_eyes", s->review.four_eyes, "aql", s->review.aql, "series", s->review.series);
    if (all && s->list_bom) json_object_set_new(all, "list_bom", json_true());
    if (all) json_object_set_new(all, "retention_s", json_real(s->retention_s));
    if (all) json_object_set_new(all, "delivery", delivery_json(&s->delivery));
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    if (!text) abort();
    json_decref(all);
    return text;
}

static char *copy_text(const json_t *object, const char *key) /* NULL for null */
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text_copy(text) : NULL;
}

static void read_events(const json_t *list, NotifySettings *out)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item) || out->event_count == NOTIFY_MAX_EVENTS) continue;
        snprintf(out->event[out->event_count++], NOTIFY_EVENT_BYTES, "%s", json_string_value(item));
    }
}

static void read_delivery(const json_t *o, DeliverySettings *out)
{
    size_t i;
    json_t *item;
    out->upload = copy_text(o, "upload");
    out->webhook = copy_text(o, "webhook");
    out->suppress = copy_text(o, "suppress");
    json_array_foreach(json_object_get(o, "suppress_by"), i, item)
    {
        if (!json_is_string(item) || out->suppress_by_count == DELIVERY_MAX_COLUMNS) continue;
        out->suppress_by[out->suppress_by_count++] = text_copy(json_string_value(item));
    }
    out->time_limit_s = json_number_value(json_object_get(o, "time_limit"));
    out->retries = (int)json_integer_value(json_object_get(o, "retries"));
    out->parallel = (int)json_integer_value(json_object_get(o, "parallel"));
}

Status settings_from_json(const char *text, Settings *out)
{
    memset(out, 0, sizeof *out);
    json_t *all = json_loads(text, 0, NULL), *limits = NULL, *events = NULL;
    const char *deadline = "";
    int percent = 0;
    bool good = all && json_unpack(all, "{s:i,s:i,s:s,s:F,s:b,s:o,s:o}", "priority", &out->priority, "pilot",
                                   &out->pilot, "deadline", &deadline, "max_fails", &out->max_fails.count,
                                   "max_fails_percent", &percent, "limits", &limits, "events", &events) == 0;
    if (good) {
        snprintf(out->deadline, sizeof out->deadline, "%s", deadline);
        out->max_fails.percent = percent != 0;
        out->mixed = json_is_true(json_object_get(all, "mixed"));
        out->keep_masters = json_is_true(json_object_get(all, "keep_masters"));
        for (int i = 0; i < STAGE_COUNT; i++)
            out->limit_s[i] = (int)json_integer_value(json_object_get(limits, stage_names[i]));
        const json_t *retention = json_object_get(all, "retention_s");
        out->retention_s = json_is_number(retention) ? json_number_value(retention) : -1; /* of an earlier version */
        out->notify.webhook = copy_text(all, "webhook");
        out->notify.command = copy_text(all, "command");
        out->notify.secret_file = copy_text(all, "secret_file");
        out->list_bom = json_is_true(json_object_get(all, "list_bom"));
        read_events(events, &out->notify);
        read_delivery(json_object_get(all, "delivery"), &out->delivery);
        const json_t *review = json_object_get(all, "review");
        out->review = (ReviewSettings){review_policy_find(json_string_value(json_object_get(review, "policy"))),
                                       json_number_value(json_object_get(review, "lq")),
                                       json_is_true(json_object_get(review, "four_eyes")),
                                       json_number_value(json_object_get(review, "aql")), copy_text(review, "series")};
    }
    json_decref(all);
    return good ? status_ok() : status_fail(ERR_FATAL, "damaged settings of the campaign");
}

/* ---- single values ---- */

bool retention_parse(const char *text, double *out_s)
{
    char *end;
    if (strcmp(text, "none") == 0) return *out_s = -1, true;
    long n = strtol(text, &end, 10);
    double unit_s = strcmp(end, "h") == 0   ? 3600
                    : strcmp(end, "d") == 0 ? 86400
                    : strcmp(end, "w") == 0 ? 7 * 86400
                                            : 0;
    if (end == text || unit_s == 0 || n < 0 || n > 100000 || *text < '0' || *text > '9') return false;
    *out_s = (double)n * unit_s;
    return true;
}

bool max_fails_parse(const char *text, MaxFails *out)
{
    char *end;
    if (strcmp(text, "none") == 0) return *out = (MaxFails){.count = -1}, true;
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || (text[digits] && strcmp(text + digits, "%") != 0))
        return false; /* no hexadecimal, no exponent */
    double n = strtod(text, &end);
    bool percent = *end == '%';
    if (percent) end++;
    if (*end || !isfinite(n) || n < 0 || n > (percent ? 100 : 1e9) || (!percent && n != floor(n))) return false;
    *out = (MaxFails){n, percent};
    return true;
}

int64_t max_fails_of(const MaxFails *m, int64_t clips)
{
    if (m->count < 0) return -1;
    return (int64_t)(m->percent ? floor(m->count * (double)clips / 100) : m->count);
}

static bool parse_clock(const char *text, struct tm *tm)
{
    int n = 0;
    if (sscanf(text, "%2d:%2d%n", &tm->tm_hour, &tm->tm_min, &n) < 2 || text[n]) return false;
    return n >= 4 && tm->tm_hour >= 0 && tm->tm_hour < 24 && tm->tm_min >= 0 && tm->tm_min < 60;
}

bool deadline_parse(const char *text, double now_s, double *out_s)
{
    time_t now = (time_t)now_s;
    struct tm tm, day = {0};
    localtime_r(&now, &tm);
    tm.tm_sec = 0;
    tm.tm_isdst = -1;
    if (parse_clock(text, &tm)) {
        time_t t = mktime(&tm);
        if (t <= now) {
            tm.tm_mday++; /* mktime carries it into the next month, and keeps the hour over a change of the clocks */
            tm.tm_isdst = -1;
            t = mktime(&tm);
        }
        return *out_s = (double)t, true;
    }
    if (strspn(text, "0123456789") != 4) return false; /* strptime takes 26 for a year */
    const char *clock = strptime(text, "%Y-%m-%d", &day);
    if (!clock || (*clock != ' ' && *clock != 'T') || !parse_clock(clock + 1, &day)) return false;
    struct tm check = day;
    check.tm_isdst = day.tm_isdst = -1;
    time_t t = mktime(&check);
    if (t == (time_t)-1 || check.tm_mday != day.tm_mday || check.tm_hour != day.tm_hour || check.tm_min != day.tm_min)
        return false; /* the 31st of a month that has 30; an hour over which the clocks go forward */
    return *out_s = (double)t, true;
}
