/* isa_winograd.h - Winograd F(2x2, 3x3): a tile's points before the products, its outputs after them. Part of isa_kernels.h. */

INLINE Vec points_load(const void *place, DType dtype, int64_t at, int64_t n)
{
    if (dtype == F32) return vec_some((const float *)place + at, n);
    if (n >= LANES) return vec_bf16((const uint16_t *)place + at);
    HalfVec part = half_part((const uint16_t *)place + at, n);
    return vec_bf16((const uint16_t *)&part);
}

INLINE void points_store(Vec v, const IsaPoints *p, int64_t at, char *to)
{
    int64_t n = p->padded - at;
    if (p->pairs) {
        vec_put(v, n, BF16, to + at * 2);
        return;
    }
    if (p->rounded) {
        uint16_t half[LANES];
        vec_store_bf16(half, v);
        v = vec_bf16(half);
    }
    vec_put(v, n, F32, to + at * 4);
}

/* B^T d B with B^T = {1,0,-1,0; 0,1,1,0; 0,-1,1,0; 0,1,0,-1} */
static void winograd_points(const void *const patch[16], const IsaPoints *p, char *to)
{
    for (int64_t at = 0; at < p->padded; at += LANES) {
        Vec d[4][4], t[4][4];
        int64_t n = p->channels - at;
        for (int i = 0; i < 16; i++) d[i / 4][i % 4] = points_load(patch[i], p->dtype, at, n < 0 ? 0 : n);
        for (int j = 0; j < 4; j++) {
            t[0][j] = d[0][j] - d[2][j];
            t[1][j] = d[1][j] + d[2][j];
            t[2][j] = d[2][j] - d[1][j];
            t[3][j] = d[1][j] - d[3][j];
        }
        for (int i = 0; i < 4; i++) {
            char *row = to + 4 * i * p->point;
            points_store(t[i][0] - t[i][2], p, at, row);
            points_store(t[i][1] + t[i][2], p, at, row + p->point);
            points_store(t[i][2] - t[i][1], p, at, row + 2 * p->point);
            points_store(t[i][1] - t[i][3], p, at, row + 3 * p->point);
        }
    }
}

INLINE void outputs_store(Vec v, const IsaEpilogue *e, int64_t at, int64_t n, void *place)
{
    if (!place) return;
    char *to = (char *)place + (size_t)at * dtype_bytes(e->dtype);
    if (e->bias) v += vec_some(e->bias + at, n);
    if (e->add) v += vec_some((const float *)to, n);
    vec_put(v, n, e->dtype, to);
}

/* A^T M A with A^T = {1,1,1,0; 0,1,-1,-1} */
static void winograd_outputs(const float *sums, int64_t stride, int64_t columns, const IsaEpilogue *e,
                             void *const to[4])
{
    for (int64_t at = 0; at < columns; at += LANES) {
        Vec t[2][4];
        for (int j = 0; j < 4; j++) {
            const float *m = sums + j * stride + at;
            Vec second = vec_load(m + 4 * stride), third = vec_load(m + 8 * stride);
            t[0][j] = vec_load(m) + second + third;
            t[1][j] = second - third - vec_load(m + 12 * stride);
        }
        for (int i = 0; i < 2; i++) {
            outputs_store(t[i][0] + t[i][1] + t[i][2], e, at, columns - at, to[2 * i]);
            outputs_store(t[i][1] - t[i][2] - t[i][3], e, at, columns - at, to[2 * i + 1]);
        }
    }
}
