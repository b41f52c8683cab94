/* The contract between programs and the devices that run them.
 *
 * From the table ops.def come, for each operation: its typed argument struct bt_<name>_args, and the slot
 * bt_<name>_kernel that a backend fills with `prepare` (at plan time: checks dtypes, chooses an algorithm, states
 * scratch) and `run`. A backend exports one symbol, a bt_backend. It never falls back silently: what it cannot do,
 * `prepare` refuses with BT_ERR_UNSUPPORTED and a message naming operation, dtype and backend.
 */
#ifndef BITTERN_TENSOR_BACKEND_H
#define BITTERN_TENSOR_BACKEND_H

#include "tensor/lora_parts.h"

#include <bittern/positions.h>
#include <bittern/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BT_GROUPS 4 /* parameter groups with a learning rate of their own */

/** What changes from step to step; lives in device memory (device->step), written by bt_backend.set_step. */
typedef struct bt_step {
    uint64_t seed;
    int64_t step;                /**< counts optimizer steps; the random key of this step */
    float lr[BT_GROUPS];         /**< learning rate */
    float step_size[BT_GROUPS];  /**< lr / (1 - beta1^t), t the number of updates this group has had */
    float bias2_sqrt[BT_GROUPS]; /**< sqrt(1 - beta2^t) */
    float average_weight;        /**< 1 - decay of the moving average */
    int32_t fault;               /**< 0, or 1 + bt_op of the kernel that found a fault; the first one stays */
    int32_t fault_index;         /**< its index: pivot, row */
} bt_step;

/** One range of the flat parameter vector. */
typedef struct bt_adamw_segment {
    int64_t begin, end; /**< elements */
    int32_t group;      /**< index into bt_step.lr */
    float decay;        /**< decoupled weight decay */
} bt_adamw_segment;

typedef struct bt_backend bt_backend;

/** Head of every backend's device object. */
typedef struct bt_device {
    const bt_backend *backend;
    bt_step *step; /**< device memory */
} bt_device;

/* Where operands begin, in bytes; kernels may rely on it.
 *   BT_VALUE_ALIGNMENT   inputs, values on the way, scratch, memory of bt_backend.alloc
 *   BT_PARAM_ALIGNMENT   a whole parameter, its gradient, the flat vectors of a store and their groups
 *   one element          a range of rows of a parameter (the keys of a fused qkv); bt_adamw_segment[]
 * A kernel is not told which it has: before it reads more than an element at once it looks at the address when it runs
 * (at plan time the memory of values is not known), or reads in a way that takes any. Rows are contiguous in programs;
 * kernels honour `ld` all the same. Operands of tests/ops that begin one element behind (@1) hold them to this. */
#define BT_VALUE_ALIGNMENT 256
#define BT_PARAM_ALIGNMENT 64

/** What `prepare` leaves for `run`. Zeroed by the caller. */
typedef struct bt_prepared {
    size_t scratch_bytes; /**< memory that `run` needs, at BT_VALUE_ALIGNMENT, alive during this instruction only */
    void *state;          /**< primitives, packed weights: owned, given to `release` */
    void (*release)(void *state);
} bt_prepared;

/* Argument structs: the operands in the order of the table, then the attributes. The first bt_op_info.operands members
 * are bt_tensor, so generic code may treat the struct as an array of them. */
#define IN(name) bt_tensor name;
#define OPT(name) bt_tensor name;
#define OUT(name) bt_tensor name;
#define OUT_OPT(name) bt_tensor name;
#define STATE(name) bt_tensor name;
#define OPT_STATE(name) bt_tensor name;
#define ATTR(type, name) type name;
#define ATTR_ARRAY(type, name, n) type name[n];
#define BT_OP(family, name, operands, attributes, aliases, effect)                                                     \
    typedef struct bt_##name##_args {                                                                                  \
        operands attributes                                                                                            \
    } bt_##name##_args;                                                                                                \
    typedef struct bt_##name##_kernel {                                                                                \
        bt_status (*prepare)(bt_device * device, const bt_##name##_args *args, bt_prepared *out);                      \
        bt_status (*run)(bt_device * device, const bt_##name##_args *args, const bt_prepared *prepared,                \
                         void *scratch);                                                                               \
    } bt_##name##_kernel;
#include "tensor/ops.def"
#undef BT_OP

typedef enum bt_op {
#define BT_OP(family, name, operands, attributes, aliases, effect) BT_OP_##name,
#include "tensor/ops.def"
#undef BT_OP
    BT_OP_COUNT
} bt_op;

/** One typed slot per operation. */
typedef struct bt_kernels {
#define BT_OP(family, name, operands, attributes, aliases, effect) const bt_##name##_kernel *name;
#include "tensor/ops.def"
#undef BT_OP
} bt_kernels;
#undef IN
#undef OPT
#undef OUT
#undef OUT_OPT
#undef STATE
#undef OPT_STATE
#undef ATTR
#undef ATTR_ARRAY

typedef struct bt_device_options {
    int index;   /**< which device */
    int threads; /**< 0: as many as there are cores (CPU) */
} bt_device_options;

/** Launches recorded once and issued again as one: a step of hundreds of kernels costs the processor one call.
 * Addresses and scalars of the launches are those of the recording. */
typedef struct bt_graph_methods {
    /** From here on what `run` of kernels issues is recorded and not executed. Uploads, downloads and waits are not
     * allowed until `end`. */
    bt_status (*begin)(bt_device *device);
    /** Ends the recording, also when it fails: then *graph is NULL and nothing stays behind. */
    bt_status (*end)(bt_device *device, void **graph);
    bt_status (*launch)(bt_device *device, void *graph);
    void (*free)(bt_device *device, void *graph);
} bt_graph_methods;

/** A kind of device. All functions may be called from one thread at a time. */
struct bt_backend {
    const char *name; /**< "cpu", "cuda" */
    const bt_kernels *kernels;
    bt_status (*open)(const bt_device_options *options, bt_device **out);
    void (*close)(bt_device *device);
    /** Device memory at BT_VALUE_ALIGNMENT, zeroed. */
    bt_status (*alloc)(bt_device *device, size_t bytes, void **out);
    void (*free)(bt_device *device, void *memory);
    /** Ordered after the kernels before and before the kernels after. The host memory may be reused on return. */
    bt_status (*upload)(bt_device *device, void *device_memory, const void *host, size_t bytes);
    /** Waits for the kernels before. */
    bt_status (*download)(bt_device *device, void *host, const void *device_memory, size_t bytes);
    bt_status (*set_step)(bt_device *device, const bt_step *step);
    /** Waits until all is done; reports asynchronous faults. */
    bt_status (*synchronize)(bt_device *device);
    /** One line: name, memory, what speeds it up ("AVX2, oneDNN 2.6.3, 2 threads; bf16 emulated"). */
    void (*describe)(bt_device *device, char *text, size_t text_bytes);
    /** True if products in this dtype run at the device's own speed (false: right but slow). */
    bool (*fast_dtype)(bt_device *device, bt_dtype dtype);
    /** For measuring: products prepared from now on take the library's candidate `index` in its own order of
     * preference, 0 when opened; `prepare` gives BT_ERR_UNSUPPORTED where there are fewer. NULL: there is one way. */
    void (*set_candidate)(bt_device *device, int index);
    /** Host memory at BT_VALUE_ALIGNMENT that uploads read at the full speed of the bus (pinned), and its end; both may
     * be called from any thread. NULL: ordinary memory is as fast. */
    bt_status (*alloc_host)(bt_device *device, size_t bytes, void **out);
    void (*free_host)(bt_device *device, void *memory);
    /** NULL: runs are issued kernel by kernel. */
    const bt_graph_methods *graphs;
    /** True if planning shall make `op` of the instructions that it stands for: devices of this kind gain by it. NULL:
     * none. */
    bool (*fuses)(bt_op op, bt_dtype compute);
    /** Copies within device memory, in the order of the kernels. NULL: no such way. */
    bt_status (*copy)(bt_device *device, void *to, const void *from, size_t bytes);
    /** For measuring: bytes of the device's memory in use, by every program on it. NULL: it is the process's own. */
    bt_status (*memory_used)(bt_device *device, size_t *bytes);
};

extern const bt_backend bt_cpu_backend;

/** The backend called `name`, or NULL with a message that lists those built in. */
const bt_backend *bt_backend_named(const char *name);

#ifdef __cplusplus
}
#endif
#endif
