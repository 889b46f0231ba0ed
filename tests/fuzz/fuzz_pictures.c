/* fuzz_pictures.c - any bytes as a customer's picture: every format that is taken, still or moving. What is read has a size that was checked. */
#include <stdlib.h>

#include "tests/fuzz/memory_file.h"
#include "worker/pictures/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    ImageList list = {0};
    uint8_t *rgba = NULL;
    int width, height;
    const int f = memory_file(data, size, path);
    if (f < 0) return 0;
    if (!failed(image_read(path, &list)) && list.count != 1) abort();
    image_list_clear(&list);
    if (!failed(image_read_rgba(path, &width, &height, &rgba)) && (width < 1 || height < 1 || !rgba)) abort();
    free(rgba);
    close(f);
    return 0;
}
