/* fuzz_shot.c - whatever text comes as a shot: refused, or a shot whose own text says the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/shot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ShotSpec shot, again;
    char *text = memory_get(size + 1, 1);
    if (size) memcpy(text, data, size);
    Status status = shot_from_json(text, &shot);
    free(text);
    if (failed(status)) return 0;
    char *first = shot_to_json(&shot);
    if (failed(shot_from_json(first, &again))) abort();
    char *second = shot_to_json(&again);
    if (strcmp(first, second) != 0) abort();
    free(first);
    free(second);
    shot_clear(&shot);
    shot_clear(&again);
    return 0;
}
