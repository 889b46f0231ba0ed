#include "report_rows.h"

#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/file.h"
#include "common/html.h"
#include "common/moment.h"
#include "common/plural.h"

enum { MOST_PICTURE_BYTES = 24 << 20, ONE_PICTURE_BYTES = 4 << 20 };

static void put(Report *r, const char *text) { html_put(r->file, text); }
static void put_address(Report *r, const char *path) { html_put_address(r->file, path); }

void report_put_duration(Report *r, double s)
{
    char text[32];
    fputs(moment_length(s, text), r->file);
}

Status report_read_rows(Report *r, Status (*row)(void *self, const ClipRow *row))
{
    enum { STRIDE = 4096 };
    int64_t end;
    TRY(ledger_find_ends(r->ledger, &end, NULL));
    for (int64_t at = 0; at < end; at += STRIDE)
        TRY(ledger_read_clip_range(r->ledger, at, at + STRIDE, (ClipSink){row, r}));
    return status_ok();
}

/* The row as its table says it, so that people find a customer by name: "name: Zoë, place: Köln". Without the id, which stands beside it. */
static void put_customer(Report *r, const ClipRow *c)
{
    json_t *values = json_loads(c->customer, 0, NULL);
    const char *before = "";
    for (size_t i = 0; i < json_array_size(values) && i < json_array_size(r->columns); i++) {
        const char *name = json_string_value(json_array_get(r->columns, i)),
                   *value = json_string_value(json_array_get(values, i));
        if (!name || !value || !*value || strcmp(value, c->clip_id) == 0) continue;
        fprintf(r->file, "%s<span class=soft>", before);
        html_put_apart(r->file, name);
        fputs(":</span> ", r->file);
        html_put_apart(r->file, value);
        before = ", ";
    }
    json_decref(values);
}

static void put_file_link(Report *r, const char *file, const char *text)
{
    fputs("<a href='../", r->file);
    put_address(r, file);
    fputs("'>", r->file);
    html_put_apart(r->file, text);
    fputs("</a>", r->file);
}

static double spent_s(const ClipRow *c) { return c->text_s + c->denoise_s + c->decode_s + c->finish_s; }
static bool is_failed(const ClipRow *c) { return strcmp(c->state, "failed") == 0 || strcmp(c->state, "refused") == 0; }

static bool is_waiting(const ClipRow *c)
{
    return strcmp(c->state, ledger_clip_state_name(CLIP_HELD)) == 0 ||
           strcmp(c->state, ledger_clip_state_name(CLIP_REVIEW)) == 0;
}

Status report_measure_row(void *self, const ClipRow *c)
{
    Report *r = self;
    if (c->given_s > 0 && (r->first_s <= 0 || c->given_s < r->first_s)) r->first_s = c->given_s;
    if (c->ended_s > r->last_s) r->last_s = c->ended_s;
    if (is_failed(c)) r->failures++;
    if (is_waiting(c)) r->waiting++;
    if (strstr(c->finish, "\"variant\"")) arms_add(&r->arms, c);
    if (!*c->file || c->shot < 0 || c->shot >= r->shot_end || r->has_card[c->shot]) return status_ok();
    r->has_card[c->shot] = 1;
    r->render_s += spent_s(c);
    if (spent_s(c) > r->longest_s) r->longest_s = spent_s(c);
    return status_ok();
}

/* A link to what the shot's workers wrote, where they did. */
static void put_log(Report *r, const ClipRow *c)
{
    char *name = text_format("logs/%s.log", c->key), *whole = path_join(r->base, name);
    if (*c->key && file_exists(whole)) {
        fputs("<a href='../", r->file);
        put_address(r, name);
        fputs("'>log</a>", r->file);
    }
    free(whole);
    free(name);
}

Status report_put_failure(void *self, const ClipRow *c)
{
    Report *r = self;
    if (!is_failed(c) || r->rows++ >= REPORT_MOST_ROWS) return status_ok();
    fputs("<tr><td>", r->file);
    put(r, c->clip_id);
    fprintf(r->file, "<td>%s<td class=why>", c->state);
    put(r, c->reason);
    fprintf(r->file, "<td class=n>%lld<td>", (long long)c->failures);
    put_log(r, c);
    return status_ok();
}

Status report_put_waiting(void *self, const ClipRow *c)
{
    Report *r = self;
    if (!is_waiting(c) || r->rows++ >= REPORT_MOST_ROWS) return status_ok();
    fputs("<tr><td>", r->file);
    put_file_link(r, c->file, c->clip_id);
    fputs("<td class=why>", r->file);
    put_customer(r, c);
    fprintf(r->file, "<td>%s<td class=why>", c->state);
    const bool held = strcmp(c->state, ledger_clip_state_name(CLIP_HELD)) == 0;
    put(r, *c->reason || held ? c->reason : r->now.by_sample ? "it is in the sample" : "every clip is looked at");
    return status_ok();
}

static void put_bar(Report *r, const ClipRow *c)
{
    const double part[] = {c->text_s, c->denoise_s, c->decode_s, c->finish_s};
    fputs("<div class=bar>", r->file);
    for (int i = 0; i < 4 && r->longest_s > 0; i++)
        fprintf(r->file, "<i class=%c style='width:%.1f%%'></i>", "abcd"[i], 100 * part[i] / r->longest_s);
    fputs("</div>", r->file);
}

static void put_picture(Report *r, const char *path)
{
    char *whole = path_join(r->base, path), *data = NULL;
    size_t bytes = 0, n = strlen(path);
    bool jpeg = n > 4 && strcmp(path + n - 4, ".jpg") == 0;
    bool inside = r->picture_bytes < MOST_PICTURE_BYTES && !failed(file_read(whole, ONE_PICTURE_BYTES, &data, &bytes));
    fputs("<img loading=lazy alt='' src='", r->file);
    if (inside) {
        char *text = base64_text(data, bytes);
        fprintf(r->file, "data:image/%s;base64,%s", jpeg ? "jpeg" : "png", text);
        r->picture_bytes += bytes;
        free(text);
    } else {
        fputs("../", r->file);
        put_address(r, path);
    }
    fputs("'>", r->file);
    free(data);
    free(whole);
}

Status report_put_card(void *self, const ClipRow *c)
{
    Report *r = self;
    if (!*c->file || c->shot < 0 || c->shot >= r->shot_end || r->has_card[c->shot] || r->cards >= REPORT_MOST_CARDS)
        return status_ok();
    r->has_card[c->shot] = 1;
    r->cards++;
    fputs("<article class=card><a class=play href='../", r->file);
    put_address(r, c->file);
    fputs("' aria-label='play ", r->file);
    put(r, c->clip_id);
    fputs("'>", r->file);
    if (*c->sheet || *c->thumbnail) put_picture(r, *c->sheet ? c->sheet : c->thumbnail);
    fputs("</a><div><h3>", r->file);
    put_file_link(r, c->file, c->clip_id);
    if (c->sharers > 1) fprintf(r->file, " <span class=soft>and %lld more</span>", (long long)c->sharers - 1);
    fputs("</h3><p>", r->file);
    put_customer(r, c);
    fputs("</p><p>", r->file);
    put(r, c->prompt);
    fputs("</p>", r->file);
    put_bar(r, c);
    fputs("<p class=soft>", r->file);
    report_put_duration(r, spent_s(c));
    fprintf(r->file, " &middot; seed %llu", (unsigned long long)c->seed);
    if (c->steps_resumed) fprintf(r->file, " &middot; resumed at step %d", c->steps_resumed);
    if (c->failures) fprintf(r->file, " &middot; %lld attempt%s lost", (long long)c->failures, plural_s(c->failures));
    fputs(" &middot; ", r->file);
    put_log(r, c);
    fputs("</p></div></article>", r->file);
    return status_ok();
}

Status report_put_clip(void *self, const ClipRow *c)
{
    Report *r = self;
    if (r->rows++ >= REPORT_MOST_ROWS) return status_ok();
    fputs("<tr><td>", r->file);
    if (*c->file)
        put_file_link(r, c->file, c->clip_id);
    else
        put(r, c->clip_id);
    fputs("<td class=why>", r->file);
    put_customer(r, c);
    fprintf(r->file, "<td>%s<td>", c->state);
    put(r, c->worker);
    const double part[] = {c->text_s, c->denoise_s, c->decode_s, c->finish_s};
    for (int i = 0; i < 4; i++) fprintf(r->file, *c->file ? "<td class=n>%.2f" : "<td>", part[i]);
    if (*c->file)
        fprintf(r->file, "<td class=n>%dx%d<td class=n>%.2f<td class=n>%.8s", c->width, c->height, c->duration_s,
                c->key);
    else
        fprintf(r->file, "<td><td><td class=n>%.8s", c->key);
    return status_ok();
}
