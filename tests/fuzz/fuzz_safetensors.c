/* fuzz_safetensors.c - any bytes as a weight file: what is accepted must lie inside the bytes and add up. */
#include <stdint.h>
#include <stdlib.h>

#include "engine/weights/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Safetensors *s = NULL;
    if (failed(safetensors_open_memory("fuzz", data, size, &s))) return 0;
    volatile uint8_t sum = 0;
    for (int i = 0; i < safetensors_count(s); i++) {
        const StoredTensor *t = safetensors_at(s, i);
        const uint8_t *bytes = t->data;
        if (bytes < data || t->bytes > size || bytes + t->bytes > data + size) abort();
        if (safetensors_find(s, t->name) != t) abort();
        for (size_t k = 0; k < t->bytes; k++) sum ^= bytes[k];
        if (!stored_is_number(t->type) || t->bytes > 1 << 16) continue;
        float *numbers = malloc((size_t)stored_count(t) * sizeof *numbers + 1);
        stored_to_float(t, 2, numbers);
        free(numbers);
    }
    safetensors_close(&s);
    return 0;
}
