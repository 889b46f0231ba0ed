#include "bench_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "fake_png.h"

/* A file of the lease that holds its own name. */
static Status write_file(const BenchWorker *w, const char *name)
{
    char *work = lease_work_folder(w->sim.talk.lease.lease), *folder = path_join(w->write_to, work),
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

static Status make_master(const BenchWorker *w, const Lease *l, MasterFile *out)
{
    char *name = lease_master_name(l->key);
    out->bytes = (int64_t)strlen(name);
    hash_bytes(name, strlen(name), out->sha256);
    Status status = w->write_to ? write_file(w, name) : status_ok();
    free(name);
    return status;
}

static Status make_clip(const BenchWorker *w, const Lease *l, ClipResult *out)
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

static void begin(SimWorker *w)
{
    const BenchWorker *b = w->self;
    w->unit_ms = (double)(w->talk.lease.kind == LEASE_FINISH && b->finish_ms > 0 ? b->finish_ms : b->step_ms);
}

/* "load" when the lease is there, one message before each denoising step, "decode"; of a finish one. */
static bool unit(SimWorker *w, int unit)
{
    const int steps = w->talk.lease.shot.steps;
    const bool finishes = w->talk.lease.kind == LEASE_FINISH;
    if (unit == (finishes ? 1 : steps + 2)) return false;
    if (finishes)
        sim_worker_progress(w, "finish", 0, 1);
    else if (unit == 0)
        sim_worker_progress(w, "load", 0, 1);
    else if (unit <= steps)
        sim_worker_progress(w, "denoise", unit - 1, steps);
    else
        sim_worker_progress(w, "decode", 0, 1);
    return true;
}

static void end(SimWorker *w, bool stopped)
{
    const BenchWorker *b = w->self;
    const Lease *l = &w->talk.lease;
    LeaseResult r = sim_worker_result(w, stopped ? ERR_STOP : OK, stopped ? "stopped" : "");
    if (l->kind == LEASE_RENDER) {
        r.denoise_s = (double)(w->now_ms - w->work.begun_ms + 1) / 1000; /* all of it: none is measured as 0 */
        r.steps_done = l->shot.steps;
    } else {
        r.finish_s = 0.01;
    }
    Status status = stopped                   ? status_ok()
                    : l->kind == LEASE_RENDER ? make_master(b, l, &r.master)
                                              : make_clip(b, l, &r.clip);
    if (failed(status)) w->status = status;
    sim_worker_report(w, &r);
}

void bench_worker_open(BenchWorker *w, Link *link, int pid, int takes, int64_t step_ms, int64_t finish_ms,
                       const char *write_to)
{
    static const SimCraft craft = {.begin = begin, .unit = unit, .end = end};
    sim_worker_open(&w->sim, link, pid, takes, &craft, w);
    w->step_ms = step_ms;
    w->finish_ms = finish_ms;
    w->write_to = write_to;
}
