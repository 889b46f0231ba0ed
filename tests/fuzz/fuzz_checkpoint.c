/* Any bytes as a checkpoint: read whole, or refused with a reason. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "worker/render/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Checkpoint c;
    Status s = checkpoint_parse(data, size, &c);
    if (failed(s) && !*s.message) abort();
    checkpoint_clear(&c);
    return 0;
}
