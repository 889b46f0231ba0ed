#include "check.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/chain.h"
#include "common/finish_spec.h"
#include "common/foreign.h"
#include "common/options.h"
#include "common/plural.h"
#include "common/shell.h"
#include "coordinator/campaign/rendition.h"
#include "coordinator/deliver/returned.h"
#include "coordinator/launch/folder.h"
#include "coordinator/plan/amount.h"
#include "coordinator/verbs/check_changes.h"
#include "coordinator/verbs/verbs.h"

enum { EXAMPLES = 3, REFUSALS = 20, PICTURES = 2 /* a still, and a contact sheet of about its size */ };
#define BYTES_A_PIXEL 1.2 /* of a PNG of a render: measured 0.9 to 1.4 */

/* Settings are the same for all shots. */
static const ShotSpec *any_shot(const Campaign *c) { return c->shot_count ? &c->shot[0].spec : &c->base; }

/* x264 spends about half the bits for every 6 of crf; 0.05 bits per pixel at crf 23 is what calm renders, enlarged,
 * take. What flickers takes more: pure noise 0.3, measured with random weights at 1080x1920. */
static double estimate_bytes(const Rendition *r, double frames, int fps)
{
    double bits = 0.05 * exp2((23.0 - r->crf) / 6) * r->width * r->height * frames;
    double cap = r->max_kbps * 1000.0 * frames / fps;
    return (r->max_kbps && bits > cap ? cap : bits) / 8;
}

void check_summarise(const Campaign *c, CheckSummary *out)
{
    const ShotSpec *s = any_shot(c);
    const VaeConfig *v = &c->model->vae;
    const CampaignLength length = campaign_length(c);
    *out = (CheckSummary){.length = length, .duration_s = length.mean / s->fps};
    for (int64_t i = 0; i < c->clip_count; i++) out->refused += c->clip[i].refusal != NULL;
    int64_t made = c->clip_count - out->refused;
    out->shared = made - c->shot_count;
    out->videos = made * c->rendition_count;
    for (int i = 0; i < c->rendition_count; i++)
        out->video_bytes += (double)made * estimate_bytes(&c->rendition[i], length.mean, s->fps);
    out->picture_bytes = (double)made * PICTURES * BYTES_A_PIXEL * c->rendition[0].width * c->rendition[0].height;
    for (int64_t i = 0; i < c->shot_count; i++) {
        const int frames = c->shot[i].spec.frames, parts = chain_clips(frames);
        if (i == 0 || parts < out->least_parts) out->least_parts = parts;
        if (parts > out->most_parts) out->most_parts = parts;
        out->latents_bytes += c->model->dit.sound_count ? chain_latents(parts) : (frames - 1) / v->scale_time + 1;
    }
    out->latents_bytes *= (double)v->z_dim * (s->height / v->scale_space) * (s->width / v->scale_space) * sizeof(float);
}

/* ---- for people ---- */

typedef struct {
    char text[24];
} Short;

/* 1234567 -> 1,234,567 */
static Short count_text(int64_t n)
{
    char digits[24];
    Short t = {""};
    int length = snprintf(digits, sizeof digits, "%" PRId64, n), out = 0;
    for (int i = 0; i < length && out < (int)sizeof t.text - 2; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-') t.text[out++] = ',';
        t.text[out++] = digits[i];
    }
    t.text[out] = 0;
    return t;
}

static void print_settings(const Campaign *c, const CheckSummary *sum, FILE *to)
{
    const ShotSpec *s = any_shot(c);
    foreign_print(to, "  model       %s (%.12s)\n", c->model_folder, c->model_hash);
    foreign_print(to, "  customers   %s: %s row%s, %d column%s\n", c->customers_file,
                  count_text(c->customers.row_count).text, plural_s(c->customers.row_count), c->customers.column_count,
                  plural_s(c->customers.column_count));
    const CampaignLength *n = &sum->length;
    foreign_print(to, "  render      %dx%d, ", s->width, s->height);
    if (s->frames_most && n->least < n->most)
        foreign_print(to, "as long as the voice: about %d to %d frames at %d per second = %.3g to %.3g s", n->least,
                      n->most, s->fps, (double)n->least / s->fps, (double)n->most / s->fps);
    else if (s->frames_most)
        foreign_print(to, "as long as the voice: about %d frames at %d per second = %.3g s", n->most, s->fps,
                      (double)n->most / s->fps);
    else
        foreign_print(to, "%d frame%s at %d per second = %.3g s", s->frames, plural_s(s->frames), s->fps,
                      sum->duration_s);
    foreign_print(to, ", %d step%s, guidance %g", s->steps, plural_s(s->steps), s->guidance);
    if (s->guidance_2 > 0) foreign_print(to, " then %g", s->guidance_2);
    foreign_print(to, ", %s%s%s\n", s->scheduler, *s->sigmas ? " on sigmas " : "", s->sigmas);
}

/* Prints pilot, deadline, max_fails and notify, where the campaign has them. */
static void print_limits(const Campaign *c, const CheckSummary *sum, FILE *to)
{
    const Settings *s = &c->settings;
    int64_t most = max_fails_of(&s->max_fails, c->clip_count - sum->refused);
    if (s->pilot)
        foreign_print(to, "  pilot       %d clip%s first, then `reelwright pilot approve DIR`\n", s->pilot,
                      s->pilot == 1 ? "" : "s of different renders");
    if (*s->deadline) foreign_print(to, "  deadline    %s\n", s->deadline);
    if (most >= 0)
        foreign_print(to, "  max_fails   stops when more than %s clip%s failed\n", count_text(most).text,
                      most == 1 ? " has" : "s have");
    if (s->notify.webhook || s->notify.command)
        foreign_print(to, "  notify      %s%s%s\n", s->notify.webhook ? "a webhook" : "",
                      s->notify.webhook && s->notify.command ? " and " : "", s->notify.command ? "a command" : "");
}

static void print_counts(const Campaign *c, const CheckSummary *sum, FILE *to)
{
    if (c->model->dit.sound_count && sum->least_parts < sum->most_parts)
        foreign_print(to, "  speaks      lips follow the row's voice; a render is made in %d to %d pieces\n",
                      sum->least_parts, sum->most_parts);
    else if (c->model->dit.sound_count)
        foreign_print(to, "  speaks      lips follow the row's voice; a render is made in %d piece%s\n",
                      sum->most_parts, plural_s(sum->most_parts));
    if (c->media_count)
        foreign_print(to, "  pictures    %s different file%s\n", count_text(c->media_count).text,
                      plural_s(c->media_count));
    foreign_print(to, "  shots       %s to render", count_text(c->shot_count).text);
    if (c->shot_count == 0)
        foreign_print(to, "\n");
    else if (!c->share_shots)
        foreign_print(to, "; none is shared (reuse.shots: false)\n");
    else
        foreign_print(to, "; %s of %s clip%s share%s another's\n", count_text(sum->shared).text,
                      count_text(c->clip_count - sum->refused).text, plural_s(c->clip_count - sum->refused),
                      sum->shared == 1 ? "s" : "");
    if (c->trunk_count)
        foreign_print(to,
                      "  trunks      %s: their first %d of %d steps are computed once for all renders that begin so\n",
                      count_text(c->trunk_count).text, any_shot(c)->trunk_steps, any_shot(c)->steps);
    if (c->reused_steps) foreign_print(to, "  cache       steps %s run no layer of the transformer\n", c->reused_steps);
    if (any_shot(c)->guided_from > 0)
        foreign_print(to, "  guidance    at noise levels %g to %g only\n", any_shot(c)->guided_from,
                      any_shot(c)->guided_to);
    foreign_print(to, "  clips       %s to make, %s refused\n", count_text(c->clip_count - sum->refused).text,
                  count_text(sum->refused).text);
    for (int i = 0; i < c->rendition_count; i++) {
        const Rendition *r = &c->rendition[i];
        const char *ending = finish_spec_ending(r);
        foreign_print(to, "  %-11s %-8s %4dx%-4d", i ? "" : "renditions", r->name, r->width, r->height);
        if (strcmp(ending, "jpg") != 0) foreign_print(to, "  %d/s", finish_spec_fps(r, any_shot(c)->fps));
        if (strcmp(ending, "mp4") == 0) foreign_print(to, "  crf %d, preset %s", r->crf, r->preset);
        const double larger = rendition_enlargement(r, any_shot(c)->width, any_shot(c)->height);
        if (larger > 1.05) foreign_print(to, ", enlarged %.3g times", larger);
        if (r->max_kbps) foreign_print(to, ", at most %s kbit/s", count_text(r->max_kbps).text);
        const bool named = i > 0 && strcmp(r->name, ending) != 0;
        foreign_print(to, ": clips/ID%s%s.%s\n", named ? "." : "", named ? r->name : "", ending);
    }
    foreign_print(to, "  output      %s videos, roughly %s; pictures %s; latents %s\n", count_text(sum->videos).text,
                  amount_bytes(sum->video_bytes).text, amount_bytes(sum->picture_bytes).text,
                  amount_bytes(sum->latents_bytes).text);
}

static void print_rows(const Campaign *c, const CheckSummary *sum, FILE *to)
{
    int64_t shown = 0;
    foreign_print(to, "\n");
    for (int64_t i = 0; i < c->clip_count && shown < EXAMPLES; i++) {
        if (c->clip[i].refusal) continue;
        const ShotSpec *s = &c->shot[c->clip[i].shot].spec;
        const char *id = c->clip[i].clip_id;
        foreign_print(to, "  %s%*s seed %" PRIu64 "  %s\n", id, foreign_gap(id, 12), "", s->seed, s->prompt);
        shown++;
    }
    if (c->clip_count - sum->refused > shown)
        foreign_print(to, "  and %s more\n", count_text(c->clip_count - sum->refused - shown).text);
    int64_t told = 0;
    for (int64_t i = 0; i < c->clip_count && told < REFUSALS; i++) {
        if (!c->clip[i].refusal) continue;
        foreign_print(to, "  refused: %s:%d: %s: %s\n", c->customers_file, c->customers.line[i], c->clip[i].clip_id,
                      c->clip[i].refusal);
        told++;
    }
    if (sum->refused > told) foreign_print(to, "  and %s more refused\n", count_text(sum->refused - told).text);
}

static void print_verdict(const Campaign *c, const CheckSummary *sum, FILE *to)
{
    const Warnings *w = &c->warnings;
    if (sum->refused)
        foreign_print(to, "%s: %s of %s row%s %s refused", c->name, count_text(sum->refused).text,
                      count_text(c->clip_count).text, plural_s(c->clip_count), sum->refused == 1 ? "is" : "are");
    else
        foreign_print(to, "%s: %s", c->name, w->count ? "can be rendered" : "nothing is wrong with it");
    if (w->count) foreign_print(to, ", with %d warning%s", w->count, plural_s(w->count));
    foreign_print(to, "\n");
    for (int i = 0; i < w->count; i++) foreign_print(to, "  warning: %s\n", w->warning[i].message);
    foreign_print(to, "\n");
}

void check_print(const Campaign *c, FILE *to)
{
    CheckSummary sum;
    check_summarise(c, &sum);
    print_verdict(c, &sum, to);
    print_settings(c, &sum, to);
    print_counts(c, &sum, to);
    print_limits(c, &sum, to);
    print_rows(c, &sum, to);
    if (sum.refused == c->clip_count) return;
    char *file = shell_word(c->file);
    foreign_print(to, "\nreelwright run %s --out DIR    renders it\n", file);
    free(file);
}

/* ---- for programs ---- */

static json_t *renditions_json(const Campaign *c)
{
    json_t *list = json_array();
    for (int i = 0; i < c->rendition_count; i++) {
        const Rendition *r = &c->rendition[i];
        const ShotSpec *s = any_shot(c);
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:i, s:i, s:s, s:i, s:f, s:f}", "name", r->name, "width", r->width,
                                        "height", r->height, "crf", r->crf, "preset", r->preset, "max_kbps",
                                        r->max_kbps, "enlargement", rendition_enlargement(r, s->width, s->height),
                                        "black", rendition_black(r, s->width, s->height)));
    }
    return list;
}

static json_t *refusals_json(const Campaign *c)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < c->clip_count; i++)
        if (c->clip[i].refusal)
            json_array_append_new(list, json_pack("{s:s, s:i, s:s}", "id", c->clip[i].clip_id, "line",
                                                  c->customers.line[i], "reason", c->clip[i].refusal));
    return list;
}

static json_t *warnings_json(const Campaign *c)
{
    json_t *list = json_array();
    for (int i = 0; i < c->warnings.count; i++) {
        const Warning *w = &c->warnings.warning[i];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s}", "id", w->id, "field", w->field, "message", w->message));
    }
    return list;
}

/* Of paths, which may be any bytes. */
static void set_path(json_t *o, const char *key, const char *path)
{
    char *text = foreign_utf8(path);
    json_object_set_new(o, key, json_string(text));
    free(text);
}

static json_t *describe(const Campaign *c)
{
    CheckSummary sum;
    const ShotSpec *s = any_shot(c);
    check_summarise(c, &sum);
    json_t *o =
        json_pack("{s:s, s:s, s:s}", "campaign", c->name, "fingerprint", c->fingerprint, "model_sha256", c->model_hash);
    json_t *counts =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "rows", (json_int_t)c->customers.row_count, "clips",
                  (json_int_t)(c->clip_count - sum.refused), "refused", (json_int_t)sum.refused, "shots",
                  (json_int_t)c->shot_count, "shared", (json_int_t)sum.shared, "videos", (json_int_t)sum.videos);
    json_t *render =
        json_pack("{s:i, s:i, s:i, s:i, s:f, s:i, s:f, s:f, s:f, s:s}", "width", s->width, "height", s->height,
                  "frames", s->frames, "fps", s->fps, "duration_s", sum.duration_s, "steps", s->steps, "guidance",
                  s->guidance, "guidance_2", s->guidance_2, "flow_shift", s->flow_shift, "scheduler", s->scheduler);
    if (*s->sigmas) json_object_set_new(render, "sigmas", json_string(s->sigmas));
    if (s->frames_most) {
        json_object_set_new(render, "frames", json_integer((json_int_t)(sum.length.mean + 0.5)));
        json_object_set_new(
            render, "frames_follow_voice",
            json_pack("{s:i,s:i,s:i}", "least", sum.length.least, "most", sum.length.most, "allowed", s->frames_most));
    }
    if (!o || !counts || !render) abort(); /* texts are UTF-8 here: only memory can fail */
    set_path(o, "file", c->file);
    set_path(o, "model", c->model_folder);
    set_path(o, "customers", c->customers_file);
    json_object_update(o, counts);
    json_object_set_new(o, "render", render);
    json_object_set_new(o, "renditions", renditions_json(c));
    json_object_set_new(o, "refusals", refusals_json(c));
    json_object_set_new(o, "trunks", json_integer((json_int_t)c->trunk_count));
    json_object_set_new(o, "trunk_steps", json_integer(s->trunk_steps));
    json_object_set_new(o, "pictures", json_integer((json_int_t)c->media_count));
    json_object_set_new(o, "warnings", warnings_json(c));
    json_object_set_new(o, "video_bytes_estimate", json_real(sum.video_bytes));
    json_object_set_new(o, "picture_bytes_estimate", json_real(sum.picture_bytes));
    json_object_set_new(o, "latents_bytes", json_real(sum.latents_bytes));
    json_decref(counts);
    return o;
}

static void dump(json_t *o, FILE *to) /* takes the reference */
{
    foreign_print_json(to, o, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(o);
}

void check_print_json(const Campaign *c, FILE *to) { dump(describe(c), to); }

/* folder NULL: nothing to compare with. */
static Status print_all(const Campaign *c, const char *folder, bool json)
{
    Changes changes = {0};
    bool there = false;
    Status status = folder ? check_changes_find(folder, c, &changes, &there) : status_ok();
    if (!failed(status) && json) {
        json_t *o = describe(c);
        if (folder) check_changes_set(&changes, c, o);
        dump(o, stdout);
    } else if (!failed(status)) {
        check_print(c, stdout);
        if (folder) check_changes_print(&changes, c, folder, there, stdout);
    }
    changes_clear(&changes);
    return status;
}

Status verb_check(int argc, char **argv)
{
    bool json = false;
    const char *folder = NULL;
    const Option option[] = {
        {"out", OPTION_TEXT, &folder, .value = "DIR",
         .help = "also what has changed since this folder was planned, and what `run --update` would do"},
        {"json", OPTION_FLAG, &json, .help = "the same as one JSON object"}};
    const Usage usage = {
        .verb = "check",
        .arguments = "CAMPAIGN.yaml [options]",
        .about = "Validates a campaign and its customers, and shows what `run` would do: rows, shots, clips, "
                 "refusals.\nNames every fault at once, with file, line and field. Renders nothing.",
        .option = option,
        .option_count = sizeof option / sizeof *option,
        .min_arguments = 1,
        .max_arguments = 1};
    int first;
    Campaign *c;
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    TRY(campaign_load(argv[first], &c));
    Status status = folder ? folder_check(folder, c, 1, true) : status_ok();
    if (folder && !failed(status)) status = returned_refuse(folder, c);
    if (!failed(status)) status = print_all(c, folder, json);
    campaign_free(&c);
    return status;
}
