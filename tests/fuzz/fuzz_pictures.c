/* fuzz_pictures.c - any bytes as a customer's picture or video, before a night as `check` looks at it, and as a worker reads a picture: every format
 * that is taken, still or moving. What is read has a size that was checked. */
#include <stdlib.h>

#include "coordinator/campaign/probe.h"
#include "tests/fuzz/memory_file.h"
#include "worker/pictures/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_sane(const Probe *p)
{
    return p->format && p->width >= 0 && p->width <= PROBE_MAX_SIDE && p->height >= 0 && p->height <= PROBE_MAX_SIDE &&
           p->frames >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    ImageList list = {0};
    uint8_t *rgba = NULL;
    Probe probe;
    int width, height;
    const int f = memory_file(data, size, path);
    if (f < 0) return 0;
    if (!failed(probe_picture(path, &probe)) && !is_sane(&probe)) abort();
    if (!failed(probe_video(path, &probe)) && !is_sane(&probe)) abort();
    if (!failed(image_read(path, &list)) && list.count != 1) abort();
    image_list_clear(&list);
    if (!failed(image_read_rgba(path, &width, &height, &rgba)) && (width < 1 || height < 1 || !rgba)) abort();
    free(rgba);
    close(f);
    return 0;
}
