#include "sim_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "fake_png.h"

void sim_worker_open(SimWorker *w, Link *link, int pid, int64_t step_ms)
{
    *w = (SimWorker){.step_ms = step_ms};
    talk_open(&w->talk, link, "sim", pid, 1);
}

void sim_worker_close(SimWorker *w) { talk_close(&w->talk); }

/* A file that holds its own name. */
static Status write_file(const SimWorker *w, const char *relative)
{
    char *path = path_join(w->write_to, relative);
    FILE *f = fopen(path, "wbe");
    bool good = f && fputs(relative, f) >= 0;
    if (f && fclose(f) != 0) good = false;
    Status status = good ? status_ok() : status_errno(ERR_NODE, "cannot write %s", path);
    free(path);
    return status;
}

static Status make_clip(const SimWorker *w, const Lease *l, const ClipOrder *order, ClipResult *out)
{
    *out = (ClipResult){.clip_id = text_copy(order->clip_id),
                        .file = text_format("clips/%s.mp4", order->stem),
                        .thumbnail = text_format("clips/%s.png", order->stem),
                        .sheet = text_copy(""),
                        .duration_s = (double)l->shot.frames / l->shot.fps,
                        .width = l->shot.width,
                        .height = l->shot.height};
    memcpy(out->sha256, l->key, HASH_TEXT); /* as long as a real one */
    if (!w->write_to) return status_ok();
    hash_bytes(out->file, strlen(out->file), out->sha256);
    TRY(write_file(w, out->file));
    char *picture = path_join(w->write_to, out->thumbnail);
    Status status = fake_png(picture, out->thumbnail);
    free(picture);
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
    bool stopped = w->talk.drop || w->talk.stop;
    LeaseResult r = {.lease = l->lease,
                     .epoch = l->epoch,
                     .err = stopped ? ERR_STOP : OK,
                     .reason = text_copy(stopped ? "stopped" : ""),
                     .encode_text_s = 0.01,
                     .denoise_s = (double)(w->step_ms * l->shot.steps + 1) / 1000,
                     .decode_s = 0.01,
                     .finish_s = 0.01,
                     .steps_done = l->shot.steps};
    memcpy(r.key, l->key, HASH_TEXT);
    Status status = status_ok();
    if (!stopped) {
        r.clip = memory_get((size_t)l->clip_count, sizeof *r.clip);
        for (r.clip_count = 0; r.clip_count < l->clip_count && !failed(status); r.clip_count++)
            status = make_clip(w, l, &l->clip[r.clip_count], &r.clip[r.clip_count]);
        w->leases_done++;
    }
    if (!failed(status)) status = talk_finish(&w->talk, &r, now_ms);
    lease_result_clear(&r);
    return status;
}

/* "load" when the lease is seen, one message before each denoising step, "decode": what a real worker says at least. */
static Status take_step(SimWorker *w)
{
    int steps = w->talk.lease.shot.steps, step = w->step++;
    if (helps(w)) return status_ok();
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
        if (w->step > w->talk.lease.shot.steps + 1) return finish_lease(w, now_ms);
        w->due_ms += w->step_ms;
        TRY(take_step(w));
    }
    return status_ok();
}
