/* night_sim.c - a worker: the real protocol, checkpoints and published files around a toy shot whose every value follows from the
 * shot and the number of steps, so that a wrong resume gives other bytes. */
#include "night.h"

#include <sys/stat.h>

#include "common/log.h"
#include "tests/farm/fake_png.h"

static const int64_t dims[4] = {1, 1, 2, 2};

static bool is_poison(const Night *n, const Sim *s)
{
    return n->poison >= 0 && s->w.talk.lease.shot.seed == (uint64_t)n->poison;
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
    for (int i = 0; i < 4; i++) s->latents[i] = (float)s->w.talk.lease.shot.seed + (float)i / 8;
    s->step = 0;
}

static void step_shot(Night *n, Sim *s, int64_t shot)
{
    for (int i = 0; i < 4; i++)
        s->latents[i] = s->latents[i] * 0.75f + (float)(s->step + 1) / (float)(s->w.talk.lease.shot.seed + 3);
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
    const CheckpointOwner owner = owner_of(&s->w.talk.lease);
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
                (long long)s->w.talk.lease.lease, (long long)shot, s->step, n->saved[shot]);
    free(path);
}

static void save(Night *n, Sim *s, int64_t shot)
{
    Checkpoint c = {.owner = owner_of(&s->w.talk.lease), .state = {.step = s->step, .latents = s->latents}};
    char *path = night_checkpoint(n, shot), *folder = path_folder(path);
    memcpy(c.dim, dims, sizeof dims);
    NIGHT_GOOD(n, file_make_folders(folder));
    NIGHT_GOOD(n, checkpoint_write_since(path, &c, &s->mark));
    if (n->saved[shot] < s->step) n->saved[shot] = s->step;
    free(folder);
    free(path);
}

/* In the folder of its lease alone. */
static char *work_path(const Sim *s, const char *name)
{
    char *work = lease_work_folder(s->w.talk.lease.lease);
    char *path = text_format("%s/%s/%s", s->w.talk.lease.campaign_folder, work, name);
    free(work);
    return path;
}

static void write_work(Night *n, const Sim *s, const char *name, const char *text)
{
    const bool picture = strstr(name, ".png") != NULL;
    char *path = work_path(s, name), *folder = path_folder(path);
    Status status = file_make_folders(folder); /* a ghost's folder is taken away, and made again: nobody looks there */
    if (!failed(status)) status = picture ? fake_png(path, text) : file_replace(path, text, strlen(text));
    NIGHT_CHECK(n, !failed(status) || status.err == ERR_NODE, "%s", status.message);
    free(folder);
    free(path);
}

static char *frames_of(const Sim *s)
{
    return text_format("%a %a %a %a\n", (double)s->latents[0], (double)s->latents[1], (double)s->latents[2],
                       (double)s->latents[3]);
}

static void write_master(Night *n, const Sim *s)
{
    char *name = lease_master_name(s->w.talk.lease.key), *frames = frames_of(s);
    write_work(n, s, name, frames);
    free(frames);
    free(name);
}

/* False when it is not what the lease says. */
static bool read_master(const Sim *s, char **frames)
{
    const Lease *l = &s->w.talk.lease;
    char sha256[HASH_TEXT], *name = lease_master_name(l->key),
                            *path = text_format("%s/%s/%s", l->campaign_folder, lease_masters, name);
    size_t bytes = 0;
    Status status = file_read(path, 1 << 16, frames, &bytes);
    if (!failed(status)) hash_bytes(*frames, bytes, sha256);
    const bool good = !failed(status) && (int64_t)bytes == l->master.bytes && strcmp(sha256, l->master.sha256) == 0;
    if (!good) free(*frames), *frames = NULL;
    free(path);
    free(name);
    return good;
}

static const char *const ending[] = {"mp4", "png", "sheet.png"};

static void encode(Night *n, const Sim *s, const char *frames)
{
    for (int i = 0; i < 3; i++) {
        char *name = text_format("%s.%s", s->w.talk.lease.stem, ending[i]);
        char *text = text_format("%s of %s\n%s", ending[i], s->w.talk.lease.key, frames);
        write_work(n, s, name, text);
        free(text);
        free(name);
    }
}

/* What is there: a worker whose folder was taken away has nothing to report, and nobody believes what it does. */
static ClipResult clip_of(const Sim *s)
{
    const Lease *l = &s->w.talk.lease;
    ClipResult r = {.clip_id = text_copy(l->clip_id),
                    .file = text_format("clips/%s.mp4", l->stem),
                    .thumbnail = text_format("clips/%s.png", l->stem),
                    .sheet = text_format("clips/%s.sheet.png", l->stem),
                    .document = text_copy("{}"),
                    .duration_s = 1,
                    .width = 2,
                    .height = 2,
                    .name = memory_get(3, sizeof(char *))};
    for (; r.name_count < 3; r.name_count++) r.name[r.name_count] = text_format("%s.%s", l->stem, ending[r.name_count]);
    char *path = work_path(s, r.name[0]);
    if (failed(hash_file(path, r.sha256))) r.sha256[0] = 0;
    free(path);
    return r;
}

static MasterFile master_of(const Sim *s)
{
    MasterFile m = {0};
    char *name = lease_master_name(s->w.talk.lease.key), *path = work_path(s, name);
    if (failed(file_size(path, &m.bytes)) || failed(hash_file(path, m.sha256))) m.bytes = 0;
    free(path);
    free(name);
    return m;
}

static LeaseResult result_of(Sim *s, ErrClass err, const char *reason)
{
    const Lease *l = &s->w.talk.lease;
    LeaseResult r = sim_worker_result(&s->w, err, reason);
    if (l->kind == LEASE_RENDER) {
        r.denoise_s = 1;
        r.steps_done = s->too_fast ? 0 : s->step - s->resumed;
        r.steps_resumed = s->resumed;
        if (err == OK) r.master = master_of(s);
    } else if (err == OK) {
        r.clip = clip_of(s);
        if (s->too_fast) r.clip.sha256[0] = 0; /* as if it had made nothing */
    }
    r.disk_full = strstr(reason, "No space left") != NULL;
    r.master_bad = s->master_bad;
    s->too_fast = s->master_bad = false;
    return r;
}

static void report(Night *n, Sim *s, ErrClass err, const char *reason)
{
    LeaseResult r = result_of(s, err, reason);
    s->at = AT_IDLE;
    sim_worker_report(&s->w, &r);
    NIGHT_GOOD(n, s->w.status);
}

/* Its work goes on when it wakes up. */
static void hang(Sim *s, int64_t ms)
{
    s->w.wake_ms = s->night->now_ms + ms;
    s->w.work.begun_ms += ms;
}

static const char *const reason_of[] = {
    [FATE_RETRY] = "bad luck", [FATE_NODE] = "a broken device", [FATE_DISK_FULL] = "No space left on device"};

/* True when its fate has met it: it does nothing more now. */
static bool meet_fate(Night *n, Sim *s, int64_t shot)
{
    if (s->fate == FATE_NONE || s->fate_at != s->at) return false;
    Fate fate = s->fate;
    s->fate = FATE_NONE;
    night_tell(n, "worker %d: %s at point %d, step %d, of shot %lld", s->w.rank, night_fate_name(fate), s->at, s->step,
               (long long)shot);
    if (fate == FATE_DIE) {
        char *checkpoint = shot >= 0 ? night_checkpoint(n, shot) : NULL;
        char *work = s->at == AT_ENCODE || s->at == AT_MASTER ? work_path(s, "half") : NULL;
        if (s->at == AT_SAVE) leave_half(checkpoint);
        if (work) leave_half(work);
        free(work);
        free(checkpoint);
        s->w.dead = true;
    }
    if (fate == FATE_HANG) hang(s, 200 + night_roll(n, 3 * LIMIT_MS));
    if (fate == FATE_TOO_FAST) s->too_fast = true;
    if (fate <= FATE_DISK_FULL && reason_of[fate] && s->at != AT_IDLE)
        report(n, s, fate == FATE_RETRY ? ERR_RETRY : ERR_NODE, reason_of[fate]);
    return fate != FATE_TOO_FAST;
}

static void finish_unit(Night *n, Sim *s)
{
    char *frames = NULL;
    if (!read_master(s, &frames)) {
        s->master_bad = true;
        report(n, s, ERR_RETRY, "the master is not there as it was");
        return;
    }
    if (s->at == AT_ENCODE) encode(n, s, frames);
    s->at = s->at == AT_FINISH ? AT_ENCODE : AT_REPORT;
    free(frames);
}

/* Of some nights half of the workers decode on the side, if the tail before is done; the others, or then, in the lease. */
static bool leave_tail(Night *n, Sim *s)
{
    if (!n->tails || s->w.rank % 2 || !sim_worker_leave_tail(&s->w, UNIT_MS * (1 + night_roll(n, 12)))) return false;
    memcpy(s->tail.latents, s->latents, sizeof s->latents);
    s->tail.step = s->step;
    s->tail.resumed = s->resumed;
    s->at = AT_IDLE;
    return true;
}

static void end_tail(SimWorker *w, bool stopped)
{
    Sim *s = w->self, was = *s;
    Night *n = s->night;
    ErrClass err = stopped ? ERR_STOP : OK;
    const char *reason = stopped ? "told to stop" : "";
    const Fate fate = !stopped && s->fate_at == AT_MASTER ? s->fate : FATE_NONE;
    was.w = sim_worker_of_tail(w);
    memcpy(was.latents, s->tail.latents, sizeof was.latents);
    was.step = s->tail.step;
    was.resumed = s->tail.resumed;
    was.master_bad = false;
    was.too_fast = fate == FATE_TOO_FAST;
    if (fate != FATE_NONE) {
        s->fate = FATE_NONE;
        night_tell(n, "worker %d: %s in its tail", w->rank, night_fate_name(fate));
    }
    if (fate == FATE_DIE) {
        char *half = work_path(&was, "half");
        leave_half(half);
        free(half);
        w->dead = true;
        return;
    }
    if (fate == FATE_HANG) {
        w->tail_ends_ms += 200 + night_roll(n, 3 * LIMIT_MS);
        return;
    }
    if (fate != FATE_NONE && fate <= FATE_DISK_FULL && reason_of[fate]) {
        err = fate == FATE_RETRY ? ERR_RETRY : ERR_NODE;
        reason = reason_of[fate];
    }
    if (err == OK) write_master(n, &was);
    LeaseResult r = result_of(&was, err, reason);
    sim_worker_report_tail(w, &r);
    NIGHT_GOOD(n, w->status);
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
        if (!leave_tail(n, s)) s->at = AT_MASTER;
        break;
    case AT_MASTER:
        write_master(n, s);
        s->at = AT_REPORT;
        break;
    case AT_FINISH:
    case AT_ENCODE:
        finish_unit(n, s);
        break;
    default:
        report(n, s, OK, "");
        break;
    }
}

static void begin_lease(SimWorker *w)
{
    Sim *s = w->self;
    s->at = w->talk.lease.kind == LEASE_FINISH ? AT_FINISH : AT_LOAD;
    s->step = s->resumed = 0;
}

static bool take_unit(SimWorker *w, int unit)
{
    static const char *const stage[] = {[AT_LOAD] = "load",     [AT_TEXT] = "text",     [AT_DENOISE] = "denoise",
                                        [AT_DECODE] = "decode", [AT_FINISH] = "finish", [AT_ENCODE] = "finish"};
    Sim *s = w->self;
    Night *n = s->night;
    const int64_t shot = night_shot_of(n, w->talk.lease.key);
    if (meet_fate(n, s, shot)) {
        w->work.unit = unit; /* where it goes on, if it does */
        return w->talk.has_lease;
    }
    if (is_poison(n, s) && s->at == AT_DENOISE) {
        if (n->seed % 2) w->dead = true;
        report(n, s, ERR_CLIP, "a prompt that nobody can render");
        return false;
    }
    if (s->at < (int)(sizeof stage / sizeof *stage) && stage[s->at])
        sim_worker_progress(w, stage[s->at], s->step, NIGHT_STEPS);
    do_unit(n, s, shot);
    return w->talk.has_lease;
}

/* Told to give it up, or to end. */
static void end_lease(SimWorker *w, bool stopped)
{
    Sim *s = w->self;
    Night *n = s->night;
    NIGHT_CHECK(n, stopped, "a lease was over without a result");
    if ((s->at == AT_DENOISE || s->at == AT_SAVE) && s->step > s->resumed)
        save(n, s, night_shot_of(n, w->talk.lease.key));
    report(n, s, ERR_STOP, "told to stop");
}

void sim_open(Night *n, Sim *s, int rank, LocalNet *net)
{
    static const SimCraft craft = {begin_lease, take_unit, end_lease, end_tail};
    *s = (Sim){.night = n};
    sim_worker_open(&s->w, local_net_link(net, rank), n->launches * 100 + rank, 1 << LEASE_RENDER | 1 << LEASE_FINISH,
                    &craft, s);
    s->w.unit_ms = UNIT_MS;
}

void sim_tick(Night *n, Sim *s)
{
    s->w.self = s; /* a ghost is a copy */
    if (s->w.dead || s->w.gone || n->now_ms < s->w.wake_ms) return;
    if (!s->w.talk.has_lease && meet_fate(n, s, -1)) return;
    NIGHT_GOOD(n, sim_worker_tick(&s->w, n->now_ms, 0));
}
