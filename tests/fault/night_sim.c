/* night_sim.c - a worker: the real protocol, checkpoints and published files around a toy shot whose every value follows from the
 * shot and the number of steps, so that a wrong resume gives other bytes. */
#include "night.h"

#include <sys/stat.h>

#include "../farm/fake_png.h"
#include "common/log.h"

static const int64_t dims[4] = {1, 1, 2, 2};

void sim_open(Night *n, Sim *s, int rank, LocalNet *net)
{
    *s = (Sim){.rank = rank, .alive = true};
    talk_open(&s->talk, local_net_link(net, rank), "sim", n->launches * 100 + rank, 1);
}

static bool is_poison(const Night *n, const Sim *s)
{
    return n->poison >= 0 && s->talk.lease.shot.seed == (uint64_t)n->poison;
}

/* Half a file, as a death in the middle of writing leaves it. */
static void leave_half(const char *path)
{
    char *draft = file_draft(path);
    FILE *f = fopen(draft, "wb");
    if (f) fputs("half of", f), fclose(f);
    free(draft);
}

static void begin_shot(Sim *s)
{
    for (int i = 0; i < 4; i++) s->latents[i] = (float)s->talk.lease.shot.seed + (float)i / 8;
    s->step = 0;
}

static void step_shot(Night *n, Sim *s, int64_t shot)
{
    for (int i = 0; i < 4; i++)
        s->latents[i] = s->latents[i] * 0.75f + (float)(s->step + 1) / (float)(s->talk.lease.shot.seed + 3);
    s->step++;
    n->worked[shot]++;
}

static CheckpointOwner owner_of(const Lease *l)
{
    return checkpoint_owner(&l->shot, l->key, l->model_hash, "fp32", "simulated");
}

/* Goes on from the file when it is sound; it must be what was last saved there, no more and no less. */
static void resume(Night *n, Sim *s, int64_t shot)
{
    const CheckpointOwner owner = owner_of(&s->talk.lease);
    Checkpoint c;
    char *path = night_checkpoint(n, shot);
    begin_shot(s);
    s->mark = checkpoint_mark(path);
    if (file_exists(path) && !failed(checkpoint_read(path, &owner, &c))) {
        memcpy(s->latents, c.state.latents, sizeof s->latents);
        s->step = c.state.step;
        checkpoint_clear(&c);
    }
    s->resumed = s->step;
    NIGHT_CHECK(n, s->step == n->saved[shot], "lease %lld of shot %lld goes on from step %d, saved was step %d",
                (long long)s->talk.lease.lease, (long long)shot, s->step, n->saved[shot]);
    free(path);
}

static void save(Night *n, Sim *s, int64_t shot)
{
    Checkpoint c = {.owner = owner_of(&s->talk.lease), .state = {.step = s->step, .latents = s->latents}};
    char *path = night_checkpoint(n, shot), *folder = path_folder(path);
    memcpy(c.dim, dims, sizeof dims);
    NIGHT_GOOD(n, file_make_folders(folder));
    NIGHT_GOOD(n, checkpoint_write_since(path, &c, &s->mark));
    if (n->saved[shot] < s->step) n->saved[shot] = s->step;
    free(folder);
    free(path);
}

static char *clip_path(const Sim *s, int clip, const char *ending)
{
    return text_format("%s/clips/%s.%s", s->talk.lease.campaign_folder, s->talk.lease.clip[clip].stem, ending);
}

/* The first clip's files, then another name of each for every other clip: as worker/finish/finish.c does. */
static void encode(Night *n, Sim *s, int clip)
{
    static const char *const ending[] = {"mp4", "png", "sheet.png"};
    char *folder = path_join(s->talk.lease.campaign_folder, "clips");
    NIGHT_GOOD(n, file_make_folders(folder));
    for (int i = 0; i < 3; i++) {
        char *path = clip_path(s, clip, ending[i]), *first = clip_path(s, 0, ending[i]);
        char *text = text_format("%s of %s\n%a %a %a %a\n", ending[i], s->talk.lease.key, (double)s->latents[0],
                                 (double)s->latents[1], (double)s->latents[2], (double)s->latents[3]);
        if (clip > 0)
            NIGHT_GOOD(n, file_duplicate(first, path));
        else
            NIGHT_GOOD(n, i == 0 ? file_replace(path, text, strlen(text)) : fake_png(path, text));
        free(text);
        free(first);
        free(path);
    }
    free(folder);
}

static ClipResult result_of(Night *n, const Sim *s, int clip)
{
    const ClipOrder *order = &s->talk.lease.clip[clip];
    ClipResult r = {.clip_id = text_copy(order->clip_id),
                    .file = text_format("clips/%s.mp4", order->stem),
                    .thumbnail = text_format("clips/%s.png", order->stem),
                    .sheet = text_format("clips/%s.sheet.png", order->stem),
                    .duration_s = 1,
                    .width = 2,
                    .height = 2};
    char *path = clip_path(s, clip, "mp4");
    NIGHT_GOOD(n, hash_file(path, r.sha256));
    free(path);
    return r;
}

static void report(Night *n, Sim *s, ErrClass err, const char *reason)
{
    const Lease *l = &s->talk.lease;
    LeaseResult r = {.lease = l->lease,
                     .epoch = l->epoch,
                     .err = (int)err,
                     .reason = text_copy(reason),
                     .denoise_s = 1,
                     .steps_done = s->step - s->resumed,
                     .steps_resumed = s->resumed};
    memcpy(r.key, l->key, HASH_TEXT);
    if (err == OK) {
        r.clip_count = l->clip_count;
        r.clip = memory_get((size_t)l->clip_count, sizeof *r.clip);
        for (int i = 0; i < l->clip_count; i++) r.clip[i] = result_of(n, s, i);
        if (s->too_fast) r.steps_done = 0;
    }
    s->too_fast = false;
    s->at = AT_IDLE;
    NIGHT_GOOD(n, talk_finish(&s->talk, &r, n->now_ms));
}

/* True when its fate has met it: it does nothing more now. */
static bool meet_fate(Night *n, Sim *s, int64_t shot)
{
    static const char *const reason[] = {
        [FATE_RETRY] = "bad luck", [FATE_NODE] = "a broken device", [FATE_DISK_FULL] = "No space left on device"};
    if (s->fate == FATE_NONE || s->fate_at != s->at) return false;
    Fate fate = s->fate;
    s->fate = FATE_NONE;
    night_tell(n, "worker %d: %s at point %d, step %d, of shot %lld", s->rank, night_fate_name(fate), s->at, s->step,
               (long long)shot);
    if (fate == FATE_DIE) {
        char *checkpoint = shot >= 0 ? night_checkpoint(n, shot) : NULL;
        char *clip = s->at == AT_ENCODE ? clip_path(s, 0, "mp4") : NULL;
        if (s->at == AT_SAVE) leave_half(checkpoint);
        if (clip) leave_half(clip);
        free(clip);
        free(checkpoint);
        s->alive = false;
    }
    if (fate == FATE_HANG) s->wake_ms = n->now_ms + 200 + night_roll(n, 3 * LIMIT_MS);
    if (fate == FATE_TOO_FAST) s->too_fast = true;
    if (reason[fate] && s->at != AT_IDLE) report(n, s, fate == FATE_RETRY ? ERR_RETRY : ERR_NODE, reason[fate]);
    return fate != FATE_TOO_FAST;
}

/* Between two units of work: says where it is, and hears whether it is to go on. */
static bool may_go_on(Night *n, Sim *s, int64_t shot)
{
    static const char *const stage[] = {[AT_LOAD] = "load",
                                        [AT_TEXT] = "text",
                                        [AT_DENOISE] = "denoise",
                                        [AT_DECODE] = "decode",
                                        [AT_ENCODE] = "finish"};
    if (s->at < POINTS && stage[s->at]) NIGHT_GOOD(n, talk_progress(&s->talk, stage[s->at], s->step, NIGHT_STEPS));
    NIGHT_GOOD(n, talk_hear(&s->talk, n->now_ms, 0));
    if (!s->talk.drop && !s->talk.stop && !s->talk.alone) return true;
    if (s->at == AT_DENOISE && s->step > s->resumed) save(n, s, shot);
    report(n, s, ERR_STOP, "told to stop");
    return false;
}

static void do_unit(Night *n, Sim *s, int64_t shot)
{
    switch (s->at) {
    case AT_LOAD:
        s->at = AT_TEXT;
        break;
    case AT_TEXT:
        resume(n, s, shot);
        s->at = s->step == NIGHT_STEPS ? AT_DECODE : AT_DENOISE;
        break;
    case AT_DENOISE:
        step_shot(n, s, shot);
        if (s->step % NIGHT_EVERY == 0) s->at = AT_SAVE;
        break;
    case AT_SAVE:
        save(n, s, shot);
        s->at = s->step == NIGHT_STEPS ? AT_DECODE : AT_DENOISE;
        break;
    case AT_DECODE:
        s->at = AT_ENCODE;
        break;
    case AT_ENCODE:
        for (int i = 0; i < s->talk.lease.clip_count; i++) encode(n, s, i);
        s->at = AT_REPORT;
        break;
    default:
        report(n, s, OK, "");
        break;
    }
}

void sim_tick(Night *n, Sim *s)
{
    if (!s->alive || s->gone || n->now_ms < s->wake_ms) return;
    if (!s->talk.has_lease) {
        if (meet_fate(n, s, -1)) return;
        NIGHT_GOOD(n, talk_hear(&s->talk, n->now_ms, 0));
        s->gone = s->talk.stop && !s->talk.owes_result;
        if (s->gone) NIGHT_GOOD(n, talk_goodbye(&s->talk));
        if (!s->talk.has_lease) return;
        s->at = AT_LOAD;
        s->step = s->resumed = 0;
        s->next_ms = n->now_ms;
    }
    int64_t shot = night_shot_of(n, s->talk.lease.key);
    if (n->now_ms < s->next_ms || meet_fate(n, s, shot)) return;
    if (is_poison(n, s) && s->at == AT_DENOISE) {
        if (n->seed % 2) s->alive = false;
        report(n, s, ERR_CLIP, "a prompt that nobody can render");
        return;
    }
    if (s->at != AT_SAVE && s->at != AT_REPORT && !may_go_on(n, s, shot)) return;
    do_unit(n, s, shot);
    s->next_ms = n->now_ms + UNIT_MS;
}
