#include "gate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "worker/gate/flash.h"
#include "worker/gate/hearing.h"
#include "worker/gate/look.h"
#include "worker/gate/series.h"

const char *const gate_verdict_name[] = {"pass", "hold", "fail"};
#define NAME(name, unit, about) #name,
const char *const gate_name[] = {GATES_LIST(NAME)};
#undef NAME
#define UNIT(name, unit, about) unit,
const char *const gate_unit[] = {GATES_LIST(UNIT)};
#undef UNIT

struct Gate {
    GateSet set;
    GatePromise promise;
    Look *look;
    Hearing *sound;
    bool heard; /* there was sound */
    size_t not_numbers;
    bool has_floats;
    double told[GATE_COUNT], told_at_s[GATE_COUNT]; /* NAN: nothing */
};

/* ---- bounds ---------------------------------------------------------------------------------------------------------------- */

static Status parse_bounds(const char *name, const json_t *j, GateBounds *b)
{
    const struct {
        const char *key;
        double *to;
    } part[] = {{"hold", &b->hold},
                {"fail", &b->fail},
                {"hold_low", &b->hold_low},
                {"fail_low", &b->fail_low},
                {"again", &b->again}};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)j, key, value)
    {
        double *to = NULL;
        for (size_t i = 0; i < sizeof part / sizeof *part; i++)
            if (strcmp(key, part[i].key) == 0) to = part[i].to;
        if (!to || !json_is_number(value))
            return status_fail(ERR_INPUT, "gate %s: %s, expected hold, fail, hold_low and fail_low with numbers", name,
                               key);
        *to = json_number_value(value);
    }
    return status_ok();
}

int gate_find(const char *name)
{
    for (int i = 0; i < GATE_COUNT; i++)
        if (strcmp(gate_name[i], name) == 0) return i;
    return -1;
}

Status gate_set_parse(const char *json, GateSet *out)
{
    json_error_t error;
    json_t *all = json_loads(json, 0, &error), *one;
    const char *name;
    for (int i = 0; i < GATE_COUNT; i++) out->bound[i] = (GateBounds){NAN, NAN, NAN, NAN, 0};
    if (!json_is_object(all)) {
        json_decref(all);
        return status_fail(ERR_INPUT, "gates: not a JSON object");
    }
    Status status = status_ok();
    json_object_foreach(all, name, one)
    {
        const int i = gate_find(name);
        if (i < 0 || !json_is_object(one))
            status = status_fail(ERR_INPUT, "gates: \"%s\" is no gate", name);
        else
            status = parse_bounds(name, one, &out->bound[i]);
        if (failed(status)) break;
    }
    json_decref(all);
    return status;
}

/* ---- measures: a row each ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const Gate *gate;
    const FilmInfo *info;
    Series series;
    HearingFigures sound;
    float *local; /* one a picture */
    const GateBounds *bound;
    bool has_local;
    GateFinding *to;
} Evidence;

static double measure_nan(Evidence *e) { return e->gate->has_floats ? (double)e->gate->not_numbers : NAN; }

#define OF_SERIES(name)                                                                                                \
    static double measure_##name(Evidence *e)                                                                          \
    {                                                                                                                  \
        e->has_local = true;                                                                                           \
        return series_##name(&e->series, e->local);                                                                    \
    }
OF_SERIES(saturated)
OF_SERIES(black)
OF_SERIES(frozen)
OF_SERIES(flicker)
OF_SERIES(jump)
OF_SERIES(blur)
OF_SERIES(blur_change)
OF_SERIES(blockiness)
OF_SERIES(banding)
#undef OF_SERIES

static double measure_flash(Evidence *e)
{
    e->has_local = true;
    return flash_count(FLASH_LIGHT, e->series.f, e->series.count, e->local);
}

static double measure_red_flash(Evidence *e)
{
    e->has_local = true;
    return flash_count(FLASH_RED, e->series.f, e->series.count, e->local);
}

static double measure_exposure(Evidence *e)
{
    const double middle = (e->bound->hold + e->bound->hold_low) / 2;
    e->has_local = true;
    return series_exposure(&e->series, isnan(middle) ? 128 : middle, e->local);
}

static double measure_length(Evidence *e)
{
    const double pictures_s = e->series.count * e->series.picture_s;
    const FilmInfo *info = e->info;
    const double file_s = !info               ? 0
                          : info->video_s > 0 ? info->video_s
                                              : info->duration_s; /* not decoded: the container's word */
    const double length_s = file_s > 0 ? file_s : pictures_s;
    if (e->gate->promise.length_s > 0) return fabs(length_s - e->gate->promise.length_s);
    if (!info) return NAN;
    double off = info->duration_s > 0 ? fabs(info->duration_s - fmax(length_s, info->sound_s)) : 0;
    if (info->sound_s > 0) off = fmax(off, fabs(info->sound_s - length_s));
    return off;
}

static double measure_streams(Evidence *e)
{
    const FilmInfo *info = e->info;
    if (!info) return NAN;
    if (info->faults) e->to->at[e->to->at_count++] = info->first_fault_s;
    return info->faults + (e->gate->promise.sound && !info->channels);
}

static double measure_loudness(Evidence *e) { return e->gate->heard ? e->sound.loudness_lufs : NAN; }
static double measure_true_peak(Evidence *e) { return e->gate->heard ? e->sound.true_peak_dbtp : NAN; }

static void copy_at(GateFinding *to, const double *at, int count)
{
    for (int i = 0; i < count && to->at_count < GATE_MAX_AT; i++) to->at[to->at_count++] = at[i];
}

static double measure_clipping(Evidence *e)
{
    copy_at(e->to, e->sound.clipping_at, e->sound.clipping_count);
    return e->gate->heard ? e->sound.clipping : NAN;
}

static double measure_silence(Evidence *e)
{
    copy_at(e->to, e->sound.silence_at, e->sound.silence_count);
    return e->gate->heard ? e->sound.silence_s : NAN;
}

static double measure_av_offset(Evidence *e)
{
    return e->info && e->info->channels ? fabs(e->info->sound_start_s - e->info->video_start_s) : NAN;
}

static void add_at(Evidence *e, double at_s)
{
    if (isfinite(at_s) && e->to->at_count < GATE_MAX_AT) e->to->at[e->to->at_count++] = at_s;
}

static double measure_subject(Evidence *e)
{
    double at_s = NAN;
    const Subject *s = look_subject(e->gate->look);
    const double drift = s ? subject_drift(s, &at_s) : NAN;
    add_at(e, at_s);
    return drift;
}

static double measure_slip(Evidence *e)
{
    const Slip *s = look_slip(e->gate->look);
    e->has_local = s != NULL;
    return s ? slip_measure(s, e->local) : NAN;
}

static double measure_order(Evidence *e)
{
    const Sequence *s = look_sequence(e->gate->look);
    double worst = NAN;
    e->has_local = s != NULL;
    for (int i = 0; s && i < e->series.count; i++) {
        e->local[i] = sequence_at(s, i);
        worst = fmax(worst, e->local[i]);
    }
    return worst;
}

static double measure_permanence(Evidence *e)
{
    double at_s = NAN;
    const Subject *s = look_subject(e->gate->look);
    const double change = s ? subject_permanence(s, &at_s) : NAN;
    add_at(e, at_s);
    return change;
}

/* Others measure these (gate_tell), or nobody does. */
static double measure_face(Evidence *e) { return (void)e, NAN; }
static double measure_duplicate(Evidence *e) { return (void)e, NAN; }
static double measure_alike(Evidence *e) { return (void)e, NAN; }
static double measure_label(Evidence *e) { return (void)e, NAN; }
static double measure_legibility(Evidence *e) { return (void)e, NAN; }
static double measure_qr(Evidence *e) { return (void)e, NAN; }

typedef double Measure(Evidence *e);
#define ROW(name, unit, about) [GATE_##name] = measure_##name,
static Measure *const measure[GATE_COUNT] = {GATES_LIST(ROW)};
#undef ROW

/* ---- verdicts ------------------------------------------------------------------------------------------------------------------ */

static bool is_beyond(double x, double high, double low)
{
    return x > high || x < low;
} /* NAN: no bound, never beyond */

static double nearest(double x, double high, double low)
{
    if (isnan(high) || isnan(low)) return isnan(high) ? low : high;
    return fabs(x - high) < fabs(x - low) ? high : low;
}

static void judge(const GateBounds *b, GateFinding *f)
{
    const bool fails = is_beyond(f->value, b->fail, b->fail_low), held = is_beyond(f->value, b->hold, b->hold_low);
    f->verdict = fails ? GATE_FAIL : held ? GATE_HOLD : GATE_PASS;
    f->threshold = fails || isnan(nearest(f->value, b->hold, b->hold_low)) ? nearest(f->value, b->fail, b->fail_low)
                                                                           : nearest(f->value, b->hold, b->hold_low);
}

/* Where the pictures' own numbers go beyond the first bound. */
static void find_places(const Evidence *e, const GateBounds *b, GateFinding *f)
{
    const double high = isnan(b->hold) ? b->fail : b->hold, low = isnan(b->hold_low) ? b->fail_low : b->hold_low;
    bool inside = false;
    for (int i = 0; i < e->series.count; i++) {
        const bool beyond = is_beyond(e->local[i], high, low);
        if (beyond && !inside && f->at_count < GATE_MAX_AT) f->at[f->at_count++] = e->series.f[i].at_s;
        inside = beyond;
    }
}

static bool has_bound(const GateBounds *b)
{
    return !isnan(b->hold) || !isnan(b->fail) || !isnan(b->hold_low) || !isnan(b->fail_low);
}

static void judge_one(Evidence *e, int i, GateReport *out)
{
    GateFinding *f = &out->gate[i];
    e->bound = &e->gate->set.bound[i];
    e->has_local = false;
    e->to = f;
    if (!has_bound(e->bound)) return;
    f->value = isnan(e->gate->told[i]) ? measure[i](e) : e->gate->told[i];
    if (!isnan(e->gate->told[i])) add_at(e, e->gate->told_at_s[i]);
    f->measured = !isnan(f->value);
    if (!f->measured) return;
    judge(e->bound, f);
    if (e->has_local && f->verdict != GATE_PASS) find_places(e, e->bound, f);
    if (f->verdict == GATE_PASS) f->at_count = 0;
    if (f->verdict > out->verdict) out->verdict = f->verdict;
}

/* The time from one picture to the next: the median would do; the mean is as good, since they come evenly. */
static double picture_time(const LookFigures *f, int count, const FilmInfo *info)
{
    if (info && info->fps > 0) return 1 / info->fps;
    const double span = count > 1 ? f[count - 1].at_s - f[0].at_s : 0;
    return span > 0 ? span / (count - 1) : 0.04;
}

/* ---- from the first picture to the report ---------------------------------------------------------------------------------------- */

Gate *gate_begin(const GateSet *set, GatePromise promise)
{
    Gate *g = memory_get(1, sizeof *g);
    *g = (Gate){.set = *set, .promise = promise, .look = look_new()};
    for (int i = 0; i < GATE_COUNT; i++) g->told[i] = g->told_at_s[i] = NAN;
    return g;
}

void gate_abandon(Gate **g)
{
    if (!*g) return;
    look_free(&(*g)->look);
    hearing_free(&(*g)->sound);
    free(*g);
    *g = NULL;
}

void gate_floats(Gate *g, const float *rgb, size_t count)
{
    size_t bad = 0;
    for (size_t i = 0; i < count; i++) bad += isfinite(rgb[i]) ? 0u : 1u;
    g->not_numbers += bad;
    g->has_floats = true;
}

const Looks *gate_looks(const Gate *g) { return look_looks(g->look); }

/* Further beyond its bounds, or nearer to them, than what was told before. */
static bool is_worse(const GateBounds *b, double value, double than)
{
    const bool low_end = !isnan(b->hold_low) || !isnan(b->fail_low);
    return isnan(than) || (low_end ? value < than : value > than);
}

void gate_tell(Gate *g, int gate, double value, double at_s)
{
    if (isnan(value) || !is_worse(&g->set.bound[gate], value, g->told[gate])) return;
    g->told[gate] = value;
    g->told_at_s[gate] = at_s;
}

Status gate_picture(Gate *g, const FilmPicture *p) { return look_at(g->look, p); }

Status gate_sound(Gate *g, const float *samples, int count, int channels, int rate)
{
    if (!g->sound) TRY(hearing_begin(channels, rate, &g->sound));
    g->heard = true;
    return hearing_put(g->sound, samples, count);
}

void gate_end(Gate **gate, const FilmInfo *info, GateReport *out)
{
    Gate *g = *gate;
    Evidence e = {.gate = g, .info = info};
    memset(out, 0, sizeof *out);
    e.series.f = look_figures(g->look, &e.series.count);
    e.series.picture_s = picture_time(e.series.f, e.series.count, info);
    e.local = memory_get((size_t)e.series.count + 1, sizeof *e.local);
    if (g->sound) hearing_end(&g->sound, &e.sound);
    for (int i = 0; i < GATE_COUNT; i++) judge_one(&e, i, out);
    out->looks = *look_looks(g->look);
    out->vbench = 1 - series_vbench(&e.series) / 255;
    free(e.local);
    gate_abandon(gate);
}

/* ---- a file ------------------------------------------------------------------------------------------------------------------------ */

static Status sink_picture(void *self, const FilmPicture *p) { return gate_picture(self, p); }

static Status sink_sound(void *self, const float *samples, int count, int channels, int rate, double at_s)
{
    (void)at_s;
    return gate_sound(self, samples, count, channels, rate);
}

Status gate_file(const char *path, const GateSet *set, GatePromise promise, GateReport *out)
{
    Gate *g = gate_begin(set, promise);
    FilmInfo info;
    Status status = film_read(path, (FilmSink){g, sink_picture, sink_sound}, &info);
    if (failed(status))
        gate_abandon(&g);
    else
        gate_end(&g, &info, out);
    return status;
}

static json_t *number(double x) { return isfinite(x) ? json_real(round(x * 1e4) / 1e4) : json_null(); }

json_t *gate_report_json(const GateReport *r)
{
    json_t *gates = json_object();
    for (int i = 0; i < GATE_COUNT; i++) {
        const GateFinding *f = &r->gate[i];
        if (!f->measured) continue;
        json_t *at = json_array();
        for (int k = 0; k < f->at_count; k++) json_array_append_new(at, json_real(round(f->at[k] * 1000) / 1000));
        json_object_set_new(gates, gate_name[i],
                            json_pack("{s:o, s:o, s:s, s:o}", "value", number(f->value), "threshold",
                                      number(f->threshold), "verdict", gate_verdict_name[f->verdict], "at", at));
    }
    return json_pack("{s:s, s:o, s:o, s:o}", "verdict", gate_verdict_name[r->verdict], "gates", gates,
                     "vbench_temporal_flickering", number(r->vbench), "pdq", looks_to_json(&r->looks));
}
