#include "bench_campaign.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"

static Status close_file(FILE *f, const char *path)
{
    bool bad = ferror(f) != 0;
    return fclose(f) != 0 || bad ? status_errno(ERR_FATAL, "cannot write %s", path) : status_ok();
}

static Status write_customers(const char *path, CampaignSize size)
{
    static const char *const thing[] = {"a red balloon", "a paper boat", "a yellow kite", "a hot-air balloon"};
    FILE *f = fopen(path, "wbe");
    if (!f) return status_errno(ERR_FATAL, "cannot write %s", path);
    fputs("id,name,city,thing,number\n", f);
    for (int64_t row = 0; row < size.rows; row++) {
        int64_t shot = row / size.share;
        fprintf(f, "customer-%07" PRId64 ",\"Jürgen Müller %" PRId64 ", Köln\",city %" PRId64 ",%s,%" PRId64 "\n", row,
                row, shot, thing[shot % 4], shot);
    }
    return close_file(f, path);
}

Status bench_campaign_write(const char *folder, const char *model, CampaignSize size, char **file)
{
    char *path = path_join(folder, "scale.yaml"), *customers = path_join(folder, "scale.csv"), *absolute = NULL;
    Status status = write_customers(customers, size);
    if (!failed(status) && !(absolute = realpath(model, NULL))) status = status_errno(ERR_INPUT, "%s", model);
    FILE *f = failed(status) ? NULL : fopen(path, "wbe");
    if (f) {
        fprintf(
            f,
            "campaign: scale\nmodel: %s\ncustomers: scale.csv\n"
            "prompt: \"{{thing}} rises slowly over {{city}} at sunset, wide angle, soft light, filmed from a roof\"\n"
            "negative: \"blurred, low quality, watermark, subtitles, overexposed, static, worst quality\"\n"
            "seed: \"{{number}}\"\nsize: 32x48\nframes: 9\nfps: 8\nsteps: %d\nguidance: 4.0\n"
            "renditions: [preview]\nreview: {policy: none}\n",
            absolute, size.steps);
        status = close_file(f, path);
    } else if (!failed(status)) {
        status = status_errno(ERR_FATAL, "cannot write %s", path);
    }
    free(customers);
    free(absolute);
    *file = path;
    return status;
}
