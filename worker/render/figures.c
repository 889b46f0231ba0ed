#include "figures.h"

#include <stdio.h>
#include <string.h>

#include "common/moment.h"

static const double grown = 1.01; /* less is not worth a word */

/* The most memory that this process has had. 0: not known. */
static int64_t peak_bytes(void)
{
    char line[128];
    long long kb = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lld kB", &kb) == 1) break;
    if (f) fclose(f);
    return (int64_t)kb * 1024;
}

static void end_stage(Figures *f)
{
    const int64_t bytes = peak_bytes();
    if ((double)bytes <= grown * (double)f->told_bytes) return;
    f->told_bytes = bytes;
    json_object_set_new(f->peak, f->stage, json_integer(bytes));
}

static Status notice(void *self, const char *stage, int done, int total)
{
    Figures *f = self;
    if (strcmp(stage, f->stage) != 0) {
        end_stage(f);
        snprintf(f->stage, sizeof f->stage, "%s", stage);
    }
    if (done > 0 && f->first_frame_s == 0 && strcmp(stage, "decode") == 0) f->first_frame_s = moment_s() - f->begin_s;
    return f->to.at ? f->to.at(f->to.self, stage, done, total) : status_ok();
}

Progress figures_begin(Figures *f, Progress to)
{
    *f = (Figures){
        .told_bytes = f->told_bytes, .to = to, .stage = "start", .begin_s = moment_s(), .peak = json_object()};
    return (Progress){notice, f};
}

Progress figures_go_on(Figures *f, Progress to)
{
    f->to = to;
    return (Progress){notice, f};
}

json_t *figures_end(Figures *f)
{
    json_t *all = json_object();
    if (strcmp(f->stage, "decode") == 0 && f->first_frame_s == 0)
        f->first_frame_s = moment_s() - f->begin_s; /* all frames at once */
    end_stage(f);
    if (json_object_size(f->peak)) json_object_set(all, "peak", f->peak);
    if (f->first_frame_s > 0) json_object_set_new(all, "first_frame_s", json_real(f->first_frame_s));
    json_decref(f->peak);
    f->peak = NULL;
    return all;
}
