#include "sim_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "fake_png.h"

void sim_worker_open(SimWorker *w, Link *link, int pid, int64_t step_ms, int takes)
{
    *w = (SimWorker){.step_ms = step_ms, .finish_units = 1};
    talk_open(&w->talk, link, "sim", pid, 1, takes);
}

void sim_worker_close(SimWorker *w) { talk_close(&w->talk); }

/* A file of the lease that holds its own name. */
static Status write_file(const SimWorker *w, const char *name)
{
    char *work = lease_work_folder(w->talk.lease.lease), *folder = path_join(w->write_to, work),
         *path = path_join(folder, name);
    Status status = file_make_folders(folder);
    FILE *f = failed(status) ? NULL : fopen(path, "wbe");
    bool good = f && fputs(name, f) >= 0;
    if (f && fclose(f) != 0) good = false;
    if (!good && !failed(status)) status = status_errno(ERR_NODE, "cannot write %s", path);
    free(path);
    free(folder);
    free(work);
    return status;
}

static Status make_master(const SimWorker *w, const Lease *l, MasterFile *out)
{
    char *name = lease_master_name(l->key);
    out->bytes = (int64_t)strlen(name);
    hash_bytes(name, strlen(name), out->sha256);
    Status status = w->write_to ? write_file(w, name) : status_ok();
    free(name);
    return status;
}

static Status make_clip(const SimWorker *w, const Lease *l, ClipResult *out)
{
    *out = (ClipResult){.clip_id = text_copy(l->clip_id),
                        .file = text_format("clips/%s.mp4", l->stem),
                        .thumbnail = text_format("clips/%s.png", l->stem),
                        .sheet = text_copy(""),
                        .document = text_copy("{}"),
                        .duration_s = (double)l->shot.frames / l->shot.fps,
                        .width = l->shot.width,
                        .height = l->shot.height,
                        .name_count = 2,
                        .name = memory_get(2, sizeof(char *))};
    out->name[0] = text_format("%s.mp4", l->stem);
    out->name[1] = text_format("%s.png", l->stem);
    hash_bytes(out->name[0], strlen(out->name[0]), out->sha256);
    if (!w->write_to) return status_ok();
    TRY(write_file(w, out->name[0]));
    char *work = lease_work_folder(l->lease), *picture = text_format("%s/%s/%s", w->write_to, work, out->name[1]);
    Status status = fake_png(picture, out->name[1]);
    free(picture);
    free(work);
    return status;
}

/* The first of a group speaks for it; the others take part, and are ready again when it is over. */
static bool helps(const SimWorker *w)
{
    const Lease *l = &w->talk.lease;
    return l->member_count > 1 && l->member[0] != w->talk.link->rank;
}

static Status finish_lease(SimWorker *w, int64_t now_ms)
{
    const Lease *l = &w->talk.lease;
    if (helps(w)) return talk_leave(&w->talk, now_ms);
    bool stopped = w->talk.drop || w->talk.stop, renders = l->kind == LEASE_RENDER;
    LeaseResult r = {.kind = l->kind,
                     .lease = l->lease,
                     .epoch = l->epoch,
                     .err = stopped ? ERR_STOP : OK,
                     .reason = text_copy(stopped ? "stopped" : "")};
    memcpy(r.key, l->key, HASH_TEXT);
    if (renders) {
        r.encode_text_s = r.decode_s = 0.01;
        r.denoise_s = (double)(w->step_ms * l->shot.steps + 1) / 1000;
        r.steps_done = l->shot.steps;
    } else {
        r.finish_s = 0.01;
    }
    Status status = stopped ? status_ok() : renders ? make_master(w, l, &r.master) : make_clip(w, l, &r.clip);
    if (!stopped) w->made[l->kind]++;
    if (!failed(status)) status = talk_finish(&w->talk, &r, now_ms);
    lease_result_clear(&r);
    return status;
}

/* How many units of step_ms a lease has: a render its steps, and one each for loading and decoding. */
static int units_of(const SimWorker *w)
{
    return w->talk.lease.kind == LEASE_FINISH ? w->finish_units : w->talk.lease.shot.steps + 2;
}

/* "load" when the lease is seen, one message before each denoising step, "decode": what a real worker says at least. */
static Status take_step(SimWorker *w)
{
    int steps = w->talk.lease.shot.steps, step = w->step++;
    if (helps(w)) return status_ok();
    if (w->talk.lease.kind == LEASE_FINISH) return talk_progress(&w->talk, "finish", step, w->finish_units);
    if (step == 0) return talk_progress(&w->talk, "load", 0, 1);
    if (step <= steps) return talk_progress(&w->talk, "denoise", step - 1, steps);
    return talk_progress(&w->talk, "decode", 0, 1);
}

Status sim_worker_tick(SimWorker *w, int64_t now_ms, int wait_ms)
{
    if (w->gone) return status_ok();
    bool had = w->talk.has_lease;
    TRY(talk_hear(&w->talk, now_ms, wait_ms));
    if (!w->talk.has_lease) {
        w->gone = (w->talk.stop && !w->talk.owes_result) || w->talk.alone;
        return w->gone ? talk_goodbye(&w->talk) : status_ok();
    }
    if (!had) {
        w->step = 0;
        w->due_ms = now_ms;
    }
    if (w->talk.drop || w->talk.stop) return finish_lease(w, now_ms);
    while (now_ms >= w->due_ms) { /* several when the clock has gone on by more than a step */
        if (w->step >= units_of(w)) return finish_lease(w, now_ms);
        w->due_ms += w->step_ms;
        TRY(take_step(w));
    }
    return status_ok();
}
