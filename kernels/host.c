#include "kernels/host.h"

#include <string.h>
#include <sys/mman.h>

#include "kernels/convert.h"

/* Anonymous pages: zero until touched, so a block larger than what is used costs nothing; huge pages where the kernel gives
 * them, because a matrix product walks through far more memory than 4 KiB pages have translations for. */
Status host_memory_new(Backend *be, size_t bytes, void **out)
{
    (void)be;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return status_errno(ERR_NODE, "%zu bytes of memory", bytes);
    madvise(p, bytes, MADV_HUGEPAGE);
    *out = p;
    return status_ok();
}

void host_memory_free(Backend *be, void *memory, size_t bytes)
{
    (void)be;
    if (memory) munmap(memory, bytes);
}

Status host_upload(Backend *be, const float *host, Tensor out)
{
    (void)be;
    convert_from_float(host, out.dtype, tensor_count(out), out.data);
    return status_ok();
}

Status host_download(Backend *be, Tensor x, float *host)
{
    (void)be;
    convert_to_float(x.data, x.dtype, tensor_count(x), host);
    return status_ok();
}

Status host_copy(Backend *be, Tensor dst, Tensor src)
{
    enum { CHUNK = 1024 };
    (void)be;
    if (dst.dtype == src.dtype) {
        memmove(dst.data, src.data, tensor_bytes(src));
        return status_ok();
    }
    float chunk[CHUNK];
    int64_t count = tensor_count(src);
    for (int64_t i = 0; i < count; i += CHUNK) {
        int64_t n = count - i < CHUNK ? count - i : CHUNK;
        convert_to_float((const char *)src.data + (size_t)i * dtype_bytes(src.dtype), src.dtype, n, chunk);
        convert_from_float(chunk, dst.dtype, n, (char *)dst.data + (size_t)i * dtype_bytes(dst.dtype));
    }
    return status_ok();
}

Status host_zero(Backend *be, Tensor out)
{
    (void)be;
    memset(out.data, 0, tensor_bytes(out));
    return status_ok();
}
