/* Choice of a product's implementation, and the packed weights that products share. */
#include "cpu/product.h"

#include "base/memory.h"
#include "cpu/product_library.h"

/* Measured on AVX2 at the layers of ViT-S/14 (4112 rows), one thread: oneDNN 79-92 GFLOP/s, our own 68-89 in f32 and in
 * emulated bf16. Without bf16 in hardware oneDNN refuses it (below AVX-512) or emulates it below the speed of f32. A
 * processor lowered to "generic" runs only our own code, so that tests reach it. */
bt_product_library bt_product_choice(const bt_cpu_device *device, bt_dtype in) {
#ifdef BITTERN_WITH_ONEDNN
    if (in == BT_F32 && device->cpu.isa != BT_ISA_GENERIC) return BT_PRODUCT_DNNL;
    if (in == BT_BF16 && device->cpu.avx512_bf16) return BT_PRODUCT_DNNL;
#else
    (void)device;
    (void)in;
#endif
    return BT_PRODUCT_PLAIN;
}

const char *bt_product_library_text(bt_product_library library) {
#ifdef BITTERN_WITH_ONEDNN
    if (library == BT_PRODUCT_DNNL) return bt_product_dnnl_text();
#endif
    (void)library;
    return "own products";
}

bt_status bt_product_open(bt_cpu_device *device) {
#ifdef BITTERN_WITH_ONEDNN
    return bt_product_dnnl_open(device);
#else
    (void)device;
    return BT_OK;
#endif
}

void bt_product_close(bt_cpu_device *device) {
    BT_ASSERT(!device->packs); /* a program outlived its device */
#ifdef BITTERN_WITH_ONEDNN
    bt_product_dnnl_close(device);
#endif
}

static const bt_product_methods *methods_of(bt_product_library library) {
#ifdef BITTERN_WITH_ONEDNN
    if (library == BT_PRODUCT_DNNL) return &bt_product_dnnl;
#endif
    return library == BT_PRODUCT_PLAIN ? &bt_product_plain : NULL;
}

static void check(const bt_product_spec *s) {
    BT_ASSERT(s->m > 0 && s->n > 0 && s->k > 0);
    BT_ASSERT(s->in == BT_F32 || s->in == BT_BF16);
    BT_ASSERT(s->out == BT_F32 || (s->out == BT_BF16 && s->in == BT_BF16));
    BT_ASSERT(s->a_ld >= (s->a_trans ? s->m : s->k) && s->b_ld >= (s->b_trans ? s->k : s->n) && s->c_ld >= s->n);
    BT_ASSERT(!s->add || (s->add_ld >= s->n && !s->accumulate));
    BT_ASSERT(!s->bias || s->alpha == 1.0f);
}

bt_status bt_product_prepare(bt_cpu_device *device, const bt_product_spec *spec, bt_product **out) {
    check(spec);
    bool automatic = spec->library == BT_PRODUCT_AUTO;
    bt_product_library library = automatic ? bt_product_choice(device, spec->in) : spec->library;
    const bt_product_methods *methods = methods_of(library);
    if (!methods) return bt_error(BT_ERR_UNSUPPORTED, "cpu: this build has no oneDNN; libdnnl-dev would switch it on");
    bt_product *product = bt_memory_zeroed(1, sizeof *product);
    if (!product) return BT_ERR_MEMORY;
    *product = (bt_product){.methods = methods, .device = device, .spec = *spec};
    bt_status status = methods->prepare(product);
    if (status == BT_ERR_UNSUPPORTED && automatic && methods != &bt_product_plain) {
        product->methods = &bt_product_plain; /* a shape the library has no fast code for */
        status = product->methods->prepare(product);
    }
    if (status != BT_OK) {
        bt_memory_free(product);
        return status;
    }
    *out = product;
    return BT_OK;
}

size_t bt_product_scratch_bytes(const bt_product *product) {
    return product->scratch_bytes;
}

bt_status bt_product_run(const bt_product *product, const bt_product_operands *operands, void *scratch) {
    return product->methods->run(product, operands, scratch);
}

void bt_product_free(bt_product *product) {
    if (!product) return;
    product->methods->release(product);
    bt_memory_free(product);
}

bt_pack *bt_pack_take(bt_cpu_device *device, const bt_pack_key *key, size_t bytes, bool *is_new) {
    *is_new = false;
    for (bt_pack *pack = device->packs; pack; pack = pack->next) {
        const bt_pack_key *k = &pack->key;
        if (k->source == key->source && k->n == key->n && k->k == key->k && k->ld == key->ld &&
            k->dtype == key->dtype && k->trans == key->trans && k->methods == key->methods &&
            (!k->layout || k->methods->same_layout(k->layout, key->layout))) {
            pack->users++;
            return pack;
        }
    }
    bt_pack *pack = bt_memory_zeroed(1, sizeof *pack);
    if (!pack) return NULL;
    *pack = (bt_pack){.key = *key, .users = 1, .data = bt_memory_alloc(bytes, 1), .next = device->packs};
    if (!pack->data) {
        bt_memory_free(pack);
        return NULL;
    }
    device->packs = pack;
    *is_new = true;
    return pack;
}

void bt_pack_drop(bt_cpu_device *device, bt_pack *pack) {
    if (!pack || --pack->users > 0) return;
    bt_pack **at = &device->packs;
    while (*at != pack) at = &(*at)->next;
    *at = pack->next;
    if (pack->key.layout) pack->key.methods->free_layout(pack->key.layout);
    bt_memory_free(pack->data);
    bt_memory_free(pack);
}
