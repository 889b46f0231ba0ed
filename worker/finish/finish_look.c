#include "finish_look_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"
#include "worker/finish/label.h"
#include "worker/finish/looked.h"
#include "worker/finish/overlay.h"

enum {
    MOST_BY_COMMAND = 10, /* of the longest texts; and of tries */
    LOOK_S = 60,
    MOST_PROCESSES = 16,
    MOST_FAULTS = 100 /* of a process */
};

static void add_fault(Look *l, Fault f)
{
    l->fault = memory_resize(l->fault, (size_t)l->fault_count + 1, sizeof *l->fault);
    f.member = text_copy(f.member);
    f.message = text_copy(f.message);
    l->fault[l->fault_count++] = f;
}

void finish_look_fault(Look *l, int64_t clip, const char *member, const char *message)
{
    add_fault(l, (Fault){clip, (char *)(uintptr_t)member, (char *)(uintptr_t)message, -1});
}

void finish_look_note(Look *l, int64_t clip, const char *member, const char *message, int64_t others)
{
    for (int i = 0; i < l->fault_count; i++) {
        Fault *f = &l->fault[i];
        if (f->others < 0 || strcmp(f->member, member) != 0 || strcmp(f->message, message) != 0) continue;
        f->others += others + 1;
        if (clip < f->clip) f->clip = clip;
        return;
    }
    add_fault(l, (Fault){clip, (char *)(uintptr_t)member, (char *)(uintptr_t)message, others});
}

/* ---- one ------------------------------------------------------------------------------------------------------------------------ */

static Status read_codes(Overlay *o, const Label *label, const char *kind)
{
    static const char advice[] = "give it a larger scale, a shorter text, a place of its own, or a longer time";
    int unread;
    TRY(overlay_read_codes(o, label, strcmp(kind, "poster") == 0 || strcmp(kind, "gif") == 0, &unread));
    if (unread < 0) return status_ok();
    return status_fail(ERR_CLIP, "overlays[%d].qr: the code cannot be read: %s", unread, advice);
}

/* A frame of each rendition's shape: what does not fit in one of them is said once. */
static void look_at_layout(const FinishSpec *spec, const json_t *overlays, const json_t *words, Counted *c)
{
    const double clip_s = finish_look_least_of(spec, c->look->job->shot_s);
    bool well = true;
    for (int i = 0; i < spec->rendition_count && well; i++) {
        const Rendition *r = &spec->rendition[i];
        if (!r->width) continue;
        Box safe = {(int)(r->width * r->safe_left / 100), (int)(r->height * r->safe_top / 100), 0, 0};
        safe.width = r->width - safe.x - (int)(r->width * r->safe_right / 100);
        safe.height = r->height - safe.y - (int)(r->height * r->safe_bottom / 100);
        safe.width -= c->quiet; /* of ten digits, for what a mix of them may be wider */
        OverlayFrame f = {.width = r->width, .height = r->height, .safe = safe, .fps = 8, .duration_s = clip_s};
        Label *label = NULL;
        Overlay *o = NULL;
        Status status = label_open(words, r->width, r->height, safe, &label);
        f.label = label_box(label);
        if (!failed(status)) status = overlay_open(overlays, &f, &o);
        if (!failed(status)) status = read_codes(o, label, r->kind);
        if (failed(status)) {
            size_t n = strcspn(status.message, ":");
            char *member = text_format("%.*s", (int)n, status.message);
            char *message = text_format("%s, in the rendition %s",
                                        status.message[n] ? status.message + n + 2 : status.message, r->name);
            finish_look_count(c, member, message);
            free(message);
            free(member);
        }
        overlay_close(&o);
        label_close(&label);
        well = !failed(status);
    }
}

static void look_at_texts(Look *l, Unit *u, const FinishSpec *spec)
{
    json_t *overlays = overlay_timed(finish_spec_get(spec, "overlays"), finish_look_least_of(spec, l->job->shot_s));
    const json_t *label = finish_spec_get(spec, "label");
    Counted c = {.look = l, .clip = u->clip, .quiet = u->any_digits};
    if (!u->any_digits) look_at_layout(spec, overlays, label, &c);
    for (char digit = '0'; u->any_digits && digit <= '9' && c.count == 0; digit++) {
        json_t *texts = finish_look_with_digit(overlays, digit), *words = finish_look_with_digit(label, digit);
        look_at_layout(spec, texts, words, &c);
        json_decref(texts);
        json_decref(words);
    }
    u->is_split = u->any_digits && c.count > 0;
    json_decref(overlays);
}

static void look_at_unit(Look *l, Unit *u)
{
    FinishSpec spec;
    Status status = finish_spec_read(l->job->campaign, l->job->clip[u->clip], &spec);
    if (!failed(status) && u->is_voice) finish_look_at_voice(l, u, finish_spec_get(&spec, "voice"));
    if (!failed(status) && !u->is_voice) look_at_texts(l, u, &spec);
    finish_spec_clear(&spec);
}

/* ---- all of them, by several processes: libass and fontconfig are for one thread -------------------------------------------------- */

/* Units number, number + step, ... until the time is over. Then, for the parent: which were done, and the faults. */
static void work(Look *l, int number, int step, int64_t end_ms, FILE *out)
{
    for (int i = number; i < l->count && moment_ms() < end_ms && l->fault_count < MOST_FAULTS; i += step) {
        look_at_unit(l, l->unit[i]);
        fprintf(out, "done %d %d %d %d\n", i, l->unit[i]->is_noted, l->unit[i]->frames, l->unit[i]->is_split);
    }
    for (int i = 0; i < l->fault_count; i++) {
        const Fault *f = &l->fault[i];
        json_t *o = json_pack("[I,s,s,I]", (json_int_t)f->clip, f->member, f->message, (json_int_t)f->others);
        char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
        if (text) fprintf(out, "%s\n", text);
        free(text);
        json_decref(o);
    }
}

static void take_line(Look *l, const char *line)
{
    int i, noted, frames, split;
    if (sscanf(line, "done %d %d %d %d", &i, &noted, &frames, &split) == 4 && i >= 0 && i < l->count) {
        l->unit[i]->frames = frames;
        l->done[i] = true;
        l->unit[i]->is_noted = noted;
        l->unit[i]->is_split = split;
    }
    json_t *o = *line == '[' ? json_loads(line, 0, NULL) : NULL;
    const json_int_t clip = json_integer_value(json_array_get(o, 0));
    const char *member = json_string_value(json_array_get(o, 1)), *message = json_string_value(json_array_get(o, 2));
    const json_int_t others = json_integer_value(json_array_get(o, 3));
    const bool is_whole = member && message && clip >= 0 && clip < l->job->count;
    if (is_whole && others < 0) finish_look_fault(l, clip, member, message);
    if (is_whole && others >= 0) finish_look_note(l, clip, member, message, others);
    json_decref(o);
}

/* A process that dies has looked at nothing. */
static void take_answers(Look *l, pid_t child, int fd)
{
    int code = 0;
    char *line = NULL;
    size_t room = 0;
    while (waitpid(child, &code, 0) < 0 && errno == EINTR) continue;
    FILE *in = fdopen(fd, "r");
    if (!in) abort();
    rewind(in);
    while (WIFEXITED(code) && getline(&line, &room, in) > 0) take_line(l, line);
    fclose(in);
    free(line);
}

static void work_by_processes(Look *l, int64_t end_ms)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int processes = cores < 1                ? 1
                    : cores > MOST_PROCESSES ? MOST_PROCESSES
                                             : (int)cores,
        fd[MOST_PROCESSES], started = 0;
    pid_t child[MOST_PROCESSES];
    if (processes > l->count) processes = l->count;
    fflush(NULL); /* what is not written yet would be written by each */
    for (; started < processes; started++) {
        fd[started] = memfd_create("looked", MFD_CLOEXEC);
        child[started] = fd[started] < 0 ? -1 : fork();
        if (child[started] < 0) break;
        if (child[started] > 0) continue;
        FILE *out = fdopen(fd[started], "w");
        l->fault_count = 0; /* those are the parent's */
        if (out) work(l, started, processes, end_ms, out);
        _exit(out && fclose(out) == 0 ? 0 : 1);
    }
    for (int i = 0; i < started; i++) take_answers(l, child[i], fd[i]);
}

static int by_weight(const void *a, const void *b)
{
    const Unit *x = *(Unit *const *)a, *y = *(Unit *const *)b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return (x->clip > y->clip) - (x->clip < y->clip);
}

static int by_rank(const void *a, const void *b)
{
    const Unit *x = *(Unit *const *)a, *y = *(Unit *const *)b;
    return x->weight == y->weight ? (int)x->is_voice - (int)y->is_voice : x->weight > y->weight ? 1 : -1;
}

/* The longest first, layouts and voices in turn. */
static void sort_units(Look *l)
{
    int rank[2] = {0, 0};
    qsort(l->unit, (size_t)l->count, sizeof(Unit *), by_weight);
    for (int i = 0; i < l->count; i++) l->unit[i]->weight = rank[l->unit[i]->is_voice]++;
    qsort(l->unit, (size_t)l->count, sizeof(Unit *), by_rank);
}

static SaidBy said_by(const Look *l, const Unit *u)
{
    FinishSpec spec;
    SaidBy by = BY_US;
    if (!u->is_voice) return by;
    if (!failed(finish_spec_read(l->job->campaign, l->job->clip[u->clip], &spec)))
        by = finish_look_said_by(finish_spec_get(&spec, "voice"));
    finish_spec_clear(&spec);
    return by;
}

/* In the order in which they are looked at. Engines of other people's are asked for a few; with a person's own voice nothing is said before
 * the night. *left: voices that are not measured. */
static void order_units(Look *l, int64_t *left)
{
    Unit *u, *next;
    int kept = 0, commands[2] = {0};
    l->unit = memory_get(HASH_COUNT(l->by_key) + 1, sizeof(Unit *));
    HASH_ITER(hh, l->by_key, u, next) if (!u->is_known) l->unit[l->count++] = u;
    sort_units(l);
    for (int i = 0; i < l->count; i++) {
        const SaidBy by = said_by(l, l->unit[i]);
        const bool is_try = l->unit[i]->is_try;
        const bool drop = by == BY_PERSON || (by == BY_COMMAND && commands[is_try]++ >= MOST_BY_COMMAND);
        if (drop) *left += !is_try;
        if (!drop) l->unit[kept++] = l->unit[i];
        l->unit[i]->is_known = drop; /* not asked for, nor counted, once more after a split */
    }
    l->count = kept;
    l->done = memory_get((size_t)l->count + 1, sizeof *l->done);
}

/* ---- what was well before ------------------------------------------------------------------------------------------------------------ */

static void recall(void *self, const char *key, int frames)
{
    const Look *l = self;
    Unit *u;
    HASH_FIND_STR(l->by_key, key, u);
    if (!u) return;
    u->is_known = true;
    u->frames = frames;
}

static bool has_fault(const Look *l, int64_t clip)
{
    for (int i = 0; i < l->fault_count; i++)
        if (l->fault[i].clip == clip) return true;
    return false;
}

static void remember(const Look *l)
{
    FILE *f = l->count ? looked_open() : NULL;
    for (int i = 0; f && i < l->count; i++) {
        const Unit *u = l->unit[i];
        if (l->done[i] && !u->is_noted && !u->is_split && !has_fault(l, u->clip)) looked_add(f, u->key, u->frames);
    }
    if (f) fclose(f);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------------ */

static int by_clip(const void *a, const void *b)
{
    const Fault *x = a, *y = b;
    return x->clip == y->clip ? strcmp(x->member, y->member) : x->clip < y->clip ? -1 : 1;
}

static void tell(Look *l, int64_t texts, int64_t voices)
{
    if (l->fault_count) qsort(l->fault, (size_t)l->fault_count, sizeof *l->fault, by_clip);
    for (int i = 0; i < l->fault_count; i++) {
        const Fault *f = &l->fault[i];
        if (f->others < 0)
            l->job->found(l->job->self, f->clip, f->member, f->message);
        else
            l->job->noted(l->job->self, f->clip, f->member, f->message, f->others);
    }
    if (texts || voices) l->job->left(l->job->self, texts, voices);
}

/* How long the clips are whose voices were measured, and what begins in them too late to be seen. */
static void tell_lengths(Look *l)
{
    for (int64_t i = 0; i < l->job->count; i++) {
        const int frames = l->voice[i] ? l->voice[i]->frames : 0;
        FinishSpec spec;
        if (!frames || failed(finish_spec_read(l->job->campaign, l->job->clip[i], &spec))) continue;
        Counted c = {.look = l, .clip = i};
        const double clip_s = finish_look_least_of(&spec, (double)frames / l->job->follows_fps);
        json_t *overlays = overlay_timed(finish_spec_get(&spec, "overlays"), clip_s);
        l->job->lasts(l->job->self, i, frames);
        if (l->fault_count < MOST_FAULTS) overlay_check_times(overlays, clip_s, finish_look_count, &c);
        json_decref(overlays);
        finish_spec_clear(&spec);
    }
}

static void clear(Look *l)
{
    Unit *u, *next;
    HASH_ITER(hh, l->by_key, u, next)
    {
        HASH_DEL(l->by_key, u);
        free(u);
    }
    for (int i = 0; i < l->fault_count; i++) {
        free(l->fault[i].member);
        free(l->fault[i].message);
    }
    free(l->fault);
    free(l->voice);
    finish_look_forget_shapes(l);
}

/* Looks at all units that are not known; those that there was no time for are counted. true: shapes of texts are to be split. */
static bool look_at_all(Look *l, int64_t end_ms, int64_t *texts, int64_t *voices)
{
    bool split = false;
    order_units(l, voices);
    if (l->count) work_by_processes(l, end_ms);
    remember(l);
    for (int i = 0; i < l->count; i++) {
        Unit *u = l->unit[i];
        *texts += l->done[i] || u->is_voice ? 0 : 1 + u->others;
        *voices += !l->done[i] && u->is_voice;
        u->is_known = true;
        split = split || u->is_split;
    }
    free(l->unit);
    free(l->done);
    l->unit = NULL;
    l->done = NULL;
    l->count = 0;
    return split;
}

static Status look_at_split(Look *l, int64_t end_ms, int64_t *texts)
{
    int64_t counted_before = 0; /* voices that are left out, as the first pass has said */
    TRY(finish_look_gather_split(l));
    looked_recall(recall, l);
    look_at_all(l, end_ms, texts, &counted_before);
    return status_ok();
}

Status finish_look(const FinishLookJob *job)
{
    Look l = {.job = job, .voice = job->follows_fps ? memory_get((size_t)job->count + 1, sizeof(Unit *)) : NULL};
    const int64_t end_ms = moment_ms() + LOOK_S * 1000;
    int64_t texts = 0, voices = 0;
    Status status = status_ok();
    for (int64_t i = 0; i < job->count && !failed(status); i++) status = finish_look_gather(&l, i);
    if (!failed(status)) {
        looked_recall(recall, &l);
        if (look_at_all(&l, end_ms, &texts, &voices)) status = look_at_split(&l, end_ms, &texts);
        if (l.voice) tell_lengths(&l);
        tell(&l, texts, voices);
    }
    clear(&l);
    return status;
}
