#include "ending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/provoke.h"
#include "worker/finish/master.h"

static Status put_in_master(void *self, const float *frames, int n, int height, int width)
{
    return master_put(self, frames, n, height, width);
}

/* The file is written while the next frames are decoded. */
static Status make_master(Ending *x, Engine *e, int threads, Progress progress)
{
    const Lease *l = x->lease;
    const MasterShape shape = {l->shot.width, l->shot.height, x->latents.frames, l->shot.fps};
    char *work = lease_work_folder(l->lease), *folder = path_join(l->campaign_folder, work),
         *name = lease_master_name(l->key), *file = path_join(folder, name);
    MasterWriter *writer = NULL;
    Status status = status_ok();
    TRY_OUT(file_make_folders(folder));
    TRY_OUT(master_begin(file, &shape, threads, &writer));
    TRY_OUT(render_decode(e, &x->latents, NULL, progress, (FrameSink){put_in_master, writer}));
    status = master_end(&writer, &x->result.master);
out:
    master_abandon(&writer);
    free(file);
    free(name);
    free(folder);
    free(work);
    return status;
}

/* A full disk of this node is no reason to stop the farm, the campaign's is. The libraries that write files (HDF5, libav) do not all
 * hand the errno on, but say what it says. */
static bool is_disk_full(Status s, const char *campaign_folder)
{
    enum { ROOM_BYTES = 256 << 20 };
    const bool full = s.error == ENOSPC || s.error == EDQUOT || strstr(s.message, strerror(ENOSPC)) ||
                      strstr(s.message, strerror(EDQUOT));
    return full && !file_has_room(campaign_folder, ROOM_BYTES);
}

void ending_report(LeaseResult *r, const Lease *l, Status status, json_t *figures)
{
    r->figures = json_object_size(figures) ? json_dumps(figures, JSON_COMPACT | JSON_REAL_PRECISION(4)) : NULL;
    json_decref(figures);
    if (!failed(status)) status = provoke_at("report", NULL, 0);
    r->err = (int)status.err;
    r->reason = text_copy(status.message);
    r->disk_full = failed(status) && is_disk_full(status, l->campaign_folder);
}

void ending_make(Ending *x, Engine *e, int threads, double (*clock_s)(void), Progress progress)
{
    const double start = clock_s();
    const int ranks = x->lease->member_count;
    Status status = make_master(x, e, threads, figures_go_on(&x->figures, progress));
    x->result.decode_s = clock_s() - start;
    render_latents_free(&x->latents);
    json_t *figures = figures_end(&x->figures);
    if (x->measured_frames) json_object_set_new(figures, "frames", json_integer(x->measured_frames));
    if (ranks > 1) json_object_set_new(figures, "ranks", json_integer(ranks));
    ending_report(&x->result, x->lease, status, figures);
}

void ending_clear(Ending *x)
{
    render_latents_free(&x->latents);
    lease_result_clear(&x->result);
    json_decref(x->figures.peak);
    *x = (Ending){0};
}
