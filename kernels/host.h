/* host.h - what the back ends that compute in host memory (ref, cpu) share: memory, copies between types. */
#ifndef REELWRIGHT_HOST_H
#define REELWRIGHT_HOST_H

#include "kernels/backend.h"

Status host_memory_new(Backend *be, size_t bytes, void **out);
void host_memory_free(Backend *be, void *memory, size_t bytes);
Status host_upload(Backend *be, const float *host, Tensor out);
Status host_download(Backend *be, Tensor x, float *host);
Status host_copy(Backend *be, Tensor dst, Tensor src);
Status host_zero(Backend *be, Tensor out);

#endif
