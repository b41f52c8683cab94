#!/usr/bin/env python3
"""Writes weight files that lie, break off or want to run something, a few good ones beside them, and what to expect of each. Needs Python alone.

    make_files.py FOLDER            files and FOLDER/expected.tsv: FILE <tab> part of the message, or "ok N" (tensors)
    make_files.py --corpus FOLDER   small ones as the corpora weights, zip and pickle of the fuzz targets (tests/fuzz/corpus)

Lines that begin with "zlib:" or "no zlib:" hold in builds with and without it.
"""
import io, json, os, struct, sys, zlib

FILES = {}  # name: (content, expected)
PICKLES = {}  # the pickles within, for the fuzz target


def put(name, content, expected):
    assert name not in FILES, name
    FILES[name] = (content if isinstance(content, bytes) else content.encode(), expected)


# ---- pickles, instruction by instruction ----
def text(s): return b"X" + struct.pack("<I", len(s.encode())) + s.encode()
def integer(i): return b"\x8a\x09" + i.to_bytes(9, "little", signed=True) if not -2**63 <= i < 2**63 else b"\x8a\x08" + struct.pack("<q", i)
def name(module, attribute): return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"
def numbers(values): return b"(" + b"".join(integer(v) for v in values) + b"t"
def call(module, attribute, arguments=b")"): return name(module, attribute) + arguments + b"R"
def items(pairs): return b"}(" + b"".join(text(k) + v for k, v in pairs) + b"u"
def pickle(body, protocol=2): return b"\x80" + bytes([protocol]) + body + b"."


def storage(key="0", count=6, kind="FloatStorage", module="torch", extra=b""):
    return b"(" + text("storage") + name(module, kind) + text(key) + text("cpu") + integer(count) + extra + b"tQ"


def tensor(shape=(2, 3), strides=(3, 1), offset=0, of=None, function="_rebuild_tensor_v2", tail=b"\x89" + call("collections", "OrderedDict")):
    of = storage() if of is None else of
    return call("torch._utils", function, b"(" + of + integer(offset) + numbers(shape) + numbers(strides) + tail + b"t")


GOOD = pickle(items([("w", tensor())]))
FLOATS = struct.pack("<6f", 1, -2, 3.5, 4, 5, 6)


# ---- zip archives, field by field ----
def archive(members, comment=b"", count=None, size=None, offset=None, wide=False, wide_fields=None, after=b"", no_end=False):
    """members: (name, content, changes). Changes: method, bytes, unpacked, at (header's place), local_name, local_bytes, flags, extra, crc, align."""
    out, directory = b"", b""
    for member_name, content, change in members:
        raw = member_name.encode()
        method, packed = change.get("method", 0), content
        if method == 8:
            squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
            packed = squeeze.compress(content) + squeeze.flush()
        packed = change.get("packed", packed)
        stored, unpacked = change.get("bytes", len(packed)), change.get("unpacked", len(content))
        crc, flags = change.get("crc", zlib.crc32(content)), change.get("flags", 0)
        at = change.get("at", len(out))
        local = change.get("local_name", raw)
        narrow = lambda n: min(n, 0xFFFFFFFF)
        out += b"PK\3\4" + struct.pack("<HHHHHIIIHH", 20, flags, change.get("local_method", method), 0, 0, crc, narrow(change.get("local_bytes", stored)), narrow(unpacked), len(local), 0)
        out += local + packed
        extra = change.get("extra", b"")
        directory += b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, flags, method, 0, 0, crc, narrow(stored), narrow(unpacked), len(raw), len(extra), 0, 0, 0, 0, narrow(at))
        directory += raw + extra
    count = len(members) if count is None else count
    size, offset = len(directory) if size is None else size, len(out) if offset is None else offset
    out += directory + after
    if wide:
        fields = {"size": 44, "count": count, "count2": count, "bytes": size, "offset": offset, "at": len(out), "disk": 0, **(wide_fields or {})}
        out += b"PK\6\6" + struct.pack("<QHHIIQQQQ", fields["size"], 45, 45, fields["disk"], 0, fields["count"], fields["count2"], fields["bytes"], fields["offset"])
        out += b"PK\6\7" + struct.pack("<IQI", 0, fields["at"], 1)
        count, size, offset = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    return out if no_end else out + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, size, offset, len(comment)) + comment


def torch_file(body, data=None, members=(), **options):
    data = [("a/data/0", FLOATS, {})] if data is None else data
    return archive([("a/data.pkl", body, {})] + data + list(members) + [("a/version", b"3\n", {})], **options)


def put_pickle(file, body, expected):
    PICKLES[file] = body if body[:1] == b"\x80" else pickle(body)
    put(file + ".pth", torch_file(PICKLES[file]), expected)


# ---- what each file is ----
def pickles_that_run():
    refused = "; weight files hold tensors and plain containers only"
    put_pickle("system", call("os", "system", b"(" + text("touch owned") + b"t"), "data.pkl: byte 2: calls os.system" + refused)
    put_pickle("posix", call("posix", "system", text("id") + b"\x85"), "calls posix.system" + refused)
    put_pickle("eval", items([("w", tensor()), ("x", call("builtins", "eval", text("1") + b"\x85"))]), "calls builtins.eval" + refused)
    put_pickle("exec_python2", call("__builtin__", "exec", text("1") + b"\x85"), "calls __builtin__.exec" + refused)
    put_pickle("popen", call("subprocess", "Popen", text("id") + b"\x85"), "holds an object of the class subprocess.Popen" + refused)
    put_pickle("getattr", call("builtins", "getattr", name("torch", "Size") + text("mro") + b"\x86"), "calls builtins.getattr" + refused)
    put_pickle("nested", call("torch._utils", "_rebuild_parameter", b"(" + call("builtins", "open", text("x") + b"\x85") + b"\x88" + b")t"), "calls builtins.open" + refused)
    put_pickle("stack_global", pickle(b"\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R", 4), "data.pkl: byte 14: calls os.system" + refused)
    put_pickle("stack_global_memo", pickle(b"}(\x8c\x06system\x94\x8c\x02os\x94uh\x01h\x00\x93\x8c\x02id\x85R", 4), "calls os.system" + refused)
    put_pickle("instance", b"(" + text("id") + b"ios\nsystem\n", "byte 10: instruction 0x69 makes an instance; weight files hold")
    put_pickle("instance_of", b"(" + name("torch", "Size") + b"o", "instruction 0x6f makes an instance")
    put_pickle("keywords", name("argparse", "Namespace") + b")}\x92", "instruction 0x92 makes an instance")
    put_pickle("extension", b"\x82\x01", "instruction 0x82 calls a registered extension")
    put_pickle("outside_text", b"Pfile:///etc/passwd\n", "instruction 0x50 asks for an outside object")
    put_pickle("set", pickle(b"\x8f(K\x01\x90", 4), "instruction 0x8f makes a set")
    put_pickle("module", call("torchvision.models.resnet", "ResNet"), "holds an object of the class torchvision.models.resnet.ResNet; weight files hold tensors")
    put_pickle("module_new", name("torch.nn.modules.linear", "Linear") + b")\x81", "holds an object of the class torch.nn.modules.linear.Linear")
    put_pickle("bytes_of_storage", call("torch.storage", "_load_from_bytes", b"C\x01a\x85"), "calls torch.storage._load_from_bytes")
    put_pickle("call_of_text", text("os.system") + b")R", "calls text; the pickle is damaged")
    put_pickle("call_of_type", call("torch", "FloatStorage", b"K\x08\x85"), "calls torch.FloatStorage, which torch.save never does")
    put_pickle("new_function", name("torch._utils", "_rebuild_tensor_v2") + b")\x81", "arguments of torch._utils._rebuild_tensor_v2 are not those")
    put_pickle("subtype", call("torch._tensor", "_rebuild_from_type_v2", b"(" + name("_codecs", "encode") + name("torch", "Tensor") + text("a") + text("latin1") + b"\x86}t"),
               "arguments of torch._tensor._rebuild_from_type_v2 are not those")
    put_pickle("state_of_tensor", tensor() + items([("__class__", text("x"))]) + b"b", "gives attributes to a tensor")
    put_pickle("script_prefix", call("__torch__evil", "run"), "calls __torch__evil.run")
    put_pickle("control", call("os\x1b[31m", "sys\x07tem"), "calls os [31m.sys tem")
    put("code.pt", archive([("a/data.pkl", pickle(call("nt", "system")), {}), ("a/version", b"3", {}), ("a/code/x.py", b"import os", {})]), "calls nt.system" + refused)


def pickles_that_break():
    put_pickle("cut", GOOD[:-1], "the pickle does not end")
    put_pickle("cut_text", pickle(b"X\xff\xff\xff\x7fabc"), "needs 2147483647 bytes, and 4 are left")
    put_pickle("cut_name", pickle(b"ctorch\nFloat")[:-1], "a name has no end")
    put_pickle("long_text", pickle(b"\x8d" + b"\xff" * 8 + b"abc"), "needs 18446744073709551615 bytes")
    put_pickle("long_frame", pickle(b"\x95" + b"\xff" * 8 + b"N", 4), "a frame of 18446744073709551615 bytes")
    put_pickle("long_memo", pickle(b"Nr\xff\xff\xff\xff"), "memo 4294967295; at most 2097152 are kept")
    put_pickle("no_memo", pickle(b"h\x07"), "memo 7 is asked for and was never kept")
    put_pickle("empty_stack", pickle(b"R"), "takes 2 values from a stack of 0")
    put_pickle("no_mark", pickle(b"Nt"), "ends a container that was not begun")
    put_pickle("below_mark", pickle(b"K\x01(a"), "takes 2 values from a stack of 0")
    put_pickle("odd_items", pickle(b"}(Nu"), "a key of a dictionary without a value")
    put_pickle("wrong_items", pickle(b"}(NNe"), "items of a list are put into a dictionary")
    put_pickle("no_container", pickle(b"(NNu"), "items without their container")
    put_pickle("two_values", pickle(b"NN"), "ends with 2 values on its stack")
    put_pickle("open_mark", pickle(b"N("), "the pickle ends with 1 values on its stack")
    put_pickle("protocol_9", b"\x80\x09N.", "no pickle of protocol 2 to 5 begins here")
    put_pickle("unknown", pickle(b"\xfe"), "instruction 0xfe is none that torch.save writes")
    put_pickle("marks", pickle(b"(" * 5000), "over 4096 containers within each other")
    put_pickle("self", pickle(b"]q\x00h\x00a"), "one that holds itself")
    put_pickle("laughs", pickle(tensor() + b"q\x01" + b"".join(b"]q" + bytes([i]) + b"(" + (b"h" + bytes([i - 1])) * 8 + b"e" for i in range(2, 40))), "ends with 39 values") 
    put_pickle("billion", pickle(b"]q\x01(NNNNe" + b"0" + b"".join(b"]q" + bytes([i]) + b"(" + (b"h" + bytes([i - 1])) * 9 + b"e" + (b"0" if i < 29 else b"") for i in range(2, 30))),
               "containers that hold each other in millions of ways")
    put_pickle("billion_tensors", pickle(tensor() + b"q\x000]q\x01(" + b"h\x00" * 9 + b"e0" + b"".join(b"]q" + bytes([i]) + b"(" + (b"h" + bytes([i - 1])) * 9 + b"e" + (b"0" if i < 29 else b"") for i in range(2, 30))),
               "over 262144 tensors")
    put_pickle("depth", pickle(b"]" * 100 + b"a" * 99), "over 64 containers within each other")
    put_pickle("no_tensors", pickle(items([("epoch", b"K\x07")])), "data.pkl: holds a dictionary and no tensors")
    put_pickle("behind", GOOD + b"NNN", "3 bytes behind the end of the pickle")
    put_pickle("long_name", pickle(items([("w" * 1001, tensor())])), "a name of over 1000 bytes")
    put_pickle("long_names", pickle(items([("w" * 600, items([("v" * 600, tensor())]))])), "a name of over 1000 bytes")
    put_pickle("latin1_name", pickle(b"}U\x01\xe9" + tensor() + b"s"), "the name of a tensor is not UTF-8")
    put_pickle("nul_name", pickle(items([("a\0b", tensor())])), "the name of a tensor is not UTF-8, or holds a NUL")
    put_pickle("tuple_key", pickle(b"}K\x01K\x02\x86" + tensor() + b"s"), "a tensor lies under a key that is a tuple")
    put_pickle("same_name", pickle(items([("a.b", tensor()), ("a", items([("b", tensor())]))])), "two tensors have the name a.b")
    put_pickle("twice", pickle(items([("w", tensor()), ("w", tensor())])), "two tensors have the name w")


def tensors_that_lie():
    many = 2**62
    put_pickle("beyond", items([("w", tensor(shape=(2, 4), strides=(4, 1)))]), "a tensor reaches to element 7 of a storage of 6")
    put_pickle("offset", items([("w", tensor(offset=1))]), "a tensor reaches to element 6 of a storage of 6")
    put_pickle("offset_negative", items([("w", tensor(offset=-1))]), "a tensor's offset is -1, which is negative")
    put_pickle("offset_huge", items([("w", tensor(offset=2**63 - 1))]), "overflow 63 bits")
    put_pickle("offset_large", items([("w", tensor(offset=2**64))]), "a tensor's storage or offset is not as torch.save writes it")
    put_pickle("stride_negative", items([("w", tensor(strides=(3, -1)))]), "a tensor's strides holds -1, which is negative")
    put_pickle("stride_huge", items([("w", tensor(strides=(many, 1)))]), f"a tensor reaches to element {many + 2} of a storage of 6")
    put_pickle("stride_overflow", items([("w", tensor(shape=(4, 1), strides=(many, 1)))]), "shape, strides and offset of a tensor overflow 63 bits")
    put_pickle("stride_missing", items([("w", tensor(strides=(1,)))]), "a tensor of 2 axes with 1 strides")
    put_pickle("shape_negative", items([("w", tensor(shape=(-2, 3)))]), "a tensor's shape holds -2, which is negative")
    put_pickle("shape_overflow", items([("w", tensor(shape=(2**32, 2**32), strides=(0, 0)))]), "overflow 63 bits")
    put_pickle("shape_text", items([("w", call("torch._utils", "_rebuild_tensor_v2", b"(" + storage() + b"K\x00" + text("23") + b")\x89)t"))]), "a tensor's shape is not as")
    put_pickle("axes", items([("w", tensor(shape=(1,) * 9, strides=(1,) * 9))]), "a tensor of 9 axes; at most 8 are read")
    put_pickle("expanded", items([("w", tensor(shape=(2**30, 1), strides=(0, 1)))]), "4294967296 bytes more in memory than in the file")
    put_pickle("expanded_many", items([(f"w{i}", tensor(shape=(10**6, 3), strides=(0, 1))) for i in range(9)]), "bytes more in memory than in the file")
    put_pickle("conjugated", items([("w", tensor(tail=b"\x89)" + items([("neg", b"\x88")])))]), "negated or conjugated")
    put_pickle("no_tensor", items([("w", call("torch._utils", "_rebuild_parameter", text("x") + b"\x88)\x87"))]), "arguments of torch._utils._rebuild_parameter are not those")
    put_pickle("storage_few", items([("w", tensor(of=storage(count=5)))]), "a tensor reaches to element 5 of a storage of 5")
    put_pickle("storage_many", items([("w", tensor(of=storage(count=7)))]), "is said to hold 7 elements of F32 (28 bytes), its member has 24 bytes")
    put_pickle("storage_type", items([("w", tensor(of=storage(kind="DoubleStorage")))]), "is said to hold 6 elements of F64 (48 bytes), its member has 24 bytes")
    put_pickle("storage_negative", items([("w", tensor(of=storage(count=-6)))]), "a storage of -6 elements")
    put_pickle("storage_huge", items([("w", tensor(of=storage(count=many)))]), f"a storage of {many} elements")
    put_pickle("storage_complex", items([("w", tensor(of=storage(kind="ComplexFloatStorage")))]), "tensors of torch.ComplexFloatStorage are not read; read are Double")
    put_pickle("storage_quantised", items([("w", tensor(of=storage(kind="QInt8Storage")))]), "tensors of torch.QInt8Storage are not read")
    put_pickle("storage_name", items([("w", tensor(of=storage(kind="Size")))]), "the type of a storage is not as")
    put_pickle("storage_missing", items([("w", tensor(of=storage(key="7")))]), "the storage 7 is not in the archive")
    put_pickle("storage_up", items([("w", tensor(of=storage(key="../../../etc/passwd")))]), "is not in the archive")
    put_pickle("storage_key", items([("w", tensor(of=storage(key="k" * 200)))]), "is not in the archive")
    put_pickle("storage_nul", items([("w", tensor(of=storage(key="0\0")))]), "is not in the archive")
    put_pickle("view", items([("w", tensor(of=storage(extra=text("v") + integer(3) + integer(4) + b"\x87")))]), "a view of 4 elements from element 3 of a storage of 6")
    put_pickle("view_huge", items([("w", tensor(of=storage(extra=text("v") + integer(2**63 - 1) + integer(2**63 - 1) + b"\x87")))]), "of a storage of 6")
    put_pickle("outside_module", items([("w", b"(" + text("module") + name("torch", "Size") + text("f.py") + text("source") + b"tQ")]), "an outside object (a persistent id) is not as")


def archives_that_lie():
    good = [("a/data.pkl", GOOD, {}), ("a/data/0", FLOATS, {}), ("a/version", b"3\n", {})]
    whole = archive(good)
    change = lambda i, **how: archive([(n, c, how if i == j else {}) for j, (n, c, _) in enumerate(good)])
    put("good.pth", whole, "ok 1")
    put("good_comment.pth", archive(good, comment=b"PK\5\6 hello"), "ok 1")
    put("good_zip64.pth", archive(good, wide=True), "ok 1")
    put("good_descriptor.pth", change(1, flags=8, local_bytes=0), "ok 1")
    for cut, where in ((len(whole) - 1, "end"), (len(whole) - 60, "directory"), (len(whole) // 2, "half"), (31, "header"), (4, "four")):
        put(f"cut_{where}.zip", whole[:cut], "ends without its directory; is the download complete?")
    put("behind.zip", whole + b"more", "ends without its directory")
    put("before.zip", b"PK\3\4more" + whole, "the directory is said to be at byte")
    put("count_more.zip", archive([("n" * 90, b"", {})], count=2), "the directory has no further member here; 2 are announced")
    put("count_less.zip", archive(good, count=2), "bytes behind the directory's last member belong to none")
    put("count_huge.zip", archive(good, count=60000), "a directory of 60000 members in")
    put("directory_offset.zip", archive(good, offset=7), "the directory is said to be at byte 7")
    put("directory_size.zip", archive(good, size=0xFFFFFFF0), "the directory is said to be at byte")
    put("overlap.zip", change(1, at=0, local_name=b"a/data.pkl"), "another name than the directory's a/data/0")
    shared = archive([("x.npy", FLOATS, {}), ("x.npy", FLOATS, {"at": 0})])
    put("same_bytes.zip", shared, "members x.npy and x.npy overlap")
    put("member_twice.zip", archive(good + [good[1]]), "has the member a/data/0 twice")
    nested = archive([("ab", b"PK\3\4" + struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0, zlib.crc32(b"xy"), 2, 2, 2, 0) + b"cdxy", {}), ("cd", b"xy", {"at": 32})])
    put("within.zip", nested, "members ab and cd overlap")
    put("header_place.zip", change(1, at=5), "member a/data/0 is said to be here, and is not")
    put("header_beyond.zip", change(1, at=0xFFFFFFF0), "member a/data/0 is said to be here, and is not")
    put("member_long.zip", change(1, bytes=10**6, unpacked=10**6), "of 1000000 bytes reaches beyond the directory")
    put("member_sizes.zip", change(1, unpacked=23), "stored as it is, but has 24 bytes packed and 23 unpacked")
    put("member_local.zip", change(1, local_bytes=20), "the own header of member a/data/0 contradicts the directory")
    put("member_method.zip", change(1, local_method=8), "the own header of member a/data/0 contradicts the directory")
    put("method.zip", change(1, method=14), "is packed by method 14; read are 0 (stored) and 8 (deflated)")
    put("encrypted.zip", change(1, flags=1), "member a/data/0 is encrypted")
    put("no_name.zip", archive([("", b"", {})]), "a member's name of 0 bytes is empty")
    put("nul_name.zip", archive([("a\0b", b"", {})]), "empty, too long, or holds a NUL")
    put("wide_missing.zip", change(1, bytes=2**33, unpacked=2**33), "has sizes in zip64, and no field that gives them")
    put("wide_short.zip", change(1, bytes=2**33, unpacked=2**33, extra=struct.pack("<HHI", 1, 4, 24)), "has sizes in zip64, and no field")
    put("wide_lie.zip", change(1, bytes=2**33, unpacked=2**33, extra=struct.pack("<HHQQ", 1, 16, 2**62, 2**62)), "bytes reaches beyond the directory")
    put("wide_place.zip", change(1, at=2**33, extra=struct.pack("<HHQ", 1, 8, 2**63)), "is said to be here, and is not")
    put("extra_long.zip", change(1, bytes=2**33, unpacked=2**33, extra=struct.pack("<HHQ", 1, 60000, 0)), "has sizes in zip64, and no field")
    put("end64_place.zip", archive(good, wide=True, wide_fields={"at": 2**63}), "the zip64 record is said to be at byte 9223372036854775808")
    put("end64_size.zip", archive(good, wide=True, wide_fields={"size": 2**40}), "the zip64 record has 1099511627776 bytes, and room for 44")
    put("end64_count.zip", archive(good, wide=True, wide_fields={"count": 2**60, "count2": 2**60}), "a directory of 1152921504606846976 members")
    put("end64_offset.zip", archive(good, wide=True, wide_fields={"offset": 2**64 - 1}), "the directory is said to be at byte 18446744073709551615")
    put("end64_bytes.zip", archive(good, wide=True, wide_fields={"bytes": 2**64 - 1}), "the directory is said to be at byte")
    put("end64_disks.zip", archive(good, wide=True, wide_fields={"count": 2}), "an archive of several disks")
    put("disks.zip", whole[:-18] + b"\1\0" + whole[-16:], "an archive of several disks")
    put("empty.zip", archive([]), "an empty zip archive")
    put("other.zip", archive([("model/config.json", b"{}", {}), ("b", b"", {})]), "neither PyTorch's (no NAME/data.pkl) nor .npz (all members .npy); it holds model/config.json and others")
    put("two_pickles.zip", archive(good + [("b/data.pkl", GOOD, {})]), "both a/data.pkl and b/data.pkl are in the archive")
    put("no_version.pth", archive(good[:2]), "no version as PyTorch's have")
    put("big_endian.pth", torch_file(GOOD, members=[("a/byteorder", b"big", {})]), "written by a big-endian machine")
    put("little_endian.pth", torch_file(GOOD, members=[("a/byteorder", b"little", {})]), "ok 1")
    put("deflated_pickle.pth", change(0, method=8), "member a/data.pkl is compressed, which torch.save never does")
    put("deflated_storage.pth", change(1, method=8), "member a/data/0 is compressed, which torch.save never does")
    put("no_storage.pth", archive([good[0], good[2]]), "the storage 0 is not in the archive")
    put("empty_pickle.pth", torch_file(b""), "no pickle of protocol 2 to 5 begins here (80 02 to 80 05 expected; the file is cut off)")


def old_files():
    magic = pickle(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
    version = lambda n=1001: pickle(b"M" + struct.pack("<H", n))
    system = lambda little=b"\x88": pickle(items([("protocol_version", b"M\xe9\x03"), ("little_endian", little)]))
    keys = lambda *names: pickle(b"](" + b"".join(text(n) for n in names) + b"e")
    body = pickle(items([("w", tensor(of=storage(extra=b"N")))]))
    data = struct.pack("<Q", 6) + FLOATS
    head = magic + version() + system()
    put("old_good.pth", head + body + keys("0") + data, "ok 1")
    view = storage(count=9, extra=text("v") + integer(3) + integer(6) + b"\x87")
    put("old_view.pth", head + pickle(items([("w", tensor(of=view))])) + keys("0") + struct.pack("<Q9f", 9, *range(9)), "ok 1")
    parameter = call("torch.nn.parameter", "Parameter", tensor(of=storage(extra=b"N"), function="_rebuild_tensor", tail=b"") + b"\x85") + b"(\x88\x89" + call("collections", "OrderedDict", b"]\x85") + b"tb"
    ordered = call("collections", "OrderedDict", b"](](U\x01w" + parameter + b"e](U\x01vK\x01ee\x85")  # as Python 2 wrote it
    put("old_parameter.pth", head + pickle(ordered) + keys("0") + data, "ok 1")
    put("old_code.pth", head + pickle(call("os", "system", text("id") + b"\x85")) + keys(), "calls os.system; weight files")
    put("old_code_first.pth", pickle(call("os", "system", text("id") + b"\x85")), "byte 2: calls os.system; weight files")
    put("old_version.pth", magic + version(1002) + system() + body, "another version of PyTorch's old format than 1001")
    put("old_big.pth", magic + version() + system(b"\x89") + body, "written by a big-endian machine")
    put("old_system.pth", magic + version() + pickle(b"N") + body, "the description of the machine is damaged")
    put("old_cut.pth", head + body + keys("0") + data[:-1], "a storage of 24 bytes reaches beyond the end of the file")
    put("old_cut_count.pth", head + body + keys("0") + data[:5], "the file ends before the storage of byte")
    put("old_cut_keys.pth", head + body, "no pickle of protocol 2 to 5 begins here (80 02 to 80 05 expected; the file is cut off)")
    put("old_long.pth", head + body + keys("0") + data + b"x", "1 bytes behind the last storage belong to none")
    put("old_count.pth", head + body + keys("0") + struct.pack("<Q", 2**61 + 6) + FLOATS, "a storage of 2305843009213693958 elements, where the pickle says 6")
    put("old_twice.pth", head + body + keys("0", "0") + data + data, "a storage is listed that was listed before")
    put("old_unknown.pth", head + body + keys("0", "1") + data + data, "a storage is listed that no tensor has")
    put("old_missing.pth", head + body + keys(), "the storage mentioned here is not in the file")
    put("old_keys.pth", head + body + pickle(b"](K\x01e") + data, "the key of a storage is a whole number")
    put("old_no_list.pth", head + body + pickle(b"N") + data, "none where the list of storages is expected")
    two = pickle(items([("a", tensor(of=storage(extra=b"N"))), ("b", tensor(of=storage(kind="IntStorage", extra=b"N")))]))
    put("old_types.pth", head + two + keys("0") + data, "is mentioned with another type or size")
    put("plain_pickle.pkl", pickle(items([("a", b"K\x01")])), "a pickle of Python that torch.save did not write (it holds a dictionary)")
    put("plain_numpy.pkl", pickle(call("numpy.core.multiarray", "_reconstruct")), "calls numpy.core.multiarray._reconstruct")


def tensors(entries, gap=0):
    header, data = {}, b""
    for entry, dtype, shape, content in entries:
        header[entry] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    raw = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(raw)) + raw + data + b"\0" * gap


def safetensors_and_indexes():
    one, two = tensors([("a", "F32", [2, 3], FLOATS)]), tensors([("b", "BF16", [2], b"\0" * 4), ("c", "I64", [], b"\0" * 8)])
    put("good.safetensors", one, "ok 1")
    put("shards/one.safetensors", one, "ok 1")
    put("shards/two.safetensors", two, "ok 2")
    put("shards/three.pth", torch_file(GOOD), "ok 1")
    put("huge_header.safetensors", struct.pack("<Q", 2**39) + b"{}", "header length 549755813888 is over the allowed 100000000")
    put("long_header.safetensors", struct.pack("<Q", 1000) + b"{}", "header length 1000 goes beyond the end; is the download complete?")
    put("overlap.safetensors", struct.pack("<Q", 140) + b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}'.ljust(140) + b"\0" * 12, "tensors a and b overlap")
    put("twice.safetensors", struct.pack("<Q", 130) + b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}'.ljust(130) + b"\0" * 2, '"a"')
    put("dtype.safetensors", tensors([("a", "F33", [2, 3], FLOATS)]), 'tensor a: unknown dtype "F33"')
    put("shape.safetensors", tensors([("a", "F32", [2**40, 2**40], FLOATS)]), "size in bytes overflows 63 bits")
    put("size.safetensors", tensors([("a", "F32", [2, 4], FLOATS)]), "data_offsets span 24 bytes, but shape x F32 is 32")
    put("gap.safetensors", tensors([("a", "F32", [2, 3], FLOATS)], gap=3), "3 bytes behind the last tensor belong to none")
    put("cut.safetensors", one[:-4], "is the download complete?")
    put("long_name.safetensors", tensors([("n" * 1001, "U8", [1], b"x")]), "the name of a tensor has 1001 bytes")

    def index(file, weight_map, expected, **more):
        put("shards/" + file, json.dumps({"metadata": {"total_size": 36}, "weight_map": weight_map, **more}), expected)

    all_of = {"a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors"}
    index("good.index.json", all_of, "ok 3")
    index("mixed.index.json", {"a": "one.safetensors", "w": "three.pth"}, "ok 2")
    index("up.index.json", {**all_of, "a": "../good.safetensors"}, 'tensor a lies in "../good.safetensors", which is no plain file name')
    index("absolute.index.json", {**all_of, "a": "/etc/passwd"}, 'lies in "/etc/passwd", which is no plain file name')
    index("dots.index.json", {"a": ".."}, 'lies in "..", which is no plain file name')
    index("missing.index.json", {**all_of, "d": "four.safetensors"}, "1 of 3 shards are missing: four.safetensors; bring them into the index's folder")
    index("absent.index.json", {**all_of, "d": "one.safetensors"}, "tensor d should lie in one.safetensors, and is not there")
    index("unlisted.index.json", {"a": "one.safetensors", "b": "two.safetensors"}, "tensor c of")
    index("swapped.index.json", {**all_of, "c": "one.safetensors"}, "tensor c should lie in one.safetensors, but lies in")
    index("empty.index.json", {}, "weight_map is empty")
    index("number.index.json", {"a": 1}, "a string")
    index("list.index.json", ["a"], "weight_map")
    index("self.index.json", {"a": "self.index.json"}, "no weights, but JSON")
    put("shards/twice.index.json", '{"weight_map":{"a":"one.safetensors","a":"one.safetensors"}}', '"a"')
    put("config.json", '{"model_type": "dinov2"}', 'a JSON file without "weight_map", so no index of shards')
    put("cut.json", '{"weight_map": {"a": ', "cut.json: byte")


def npy(descr, shape, data, order="False"):
    head = "{'descr': %s, 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)
    head += " " * (-(10 + len(head) + 1) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + data


def arrays():
    good = npy("'<f4'", "(2, 3)", FLOATS)
    put("good.npy", good, "ok 1")
    put("good.npz", archive([("w.npy", good, {}), ("a/b.npy", good, {})]), "ok 2")
    packed = {"method": 8}
    put("packed.npz", archive([("w.npy", good, packed)]), "zlib:ok 1\nno zlib:is compressed, and this build has no zlib; install zlib1g-dev")
    either = lambda expected: f"zlib:{expected}\nno zlib:this build has no zlib"
    zeros = npy("'<f4'", "(25000000,)", bytes(100000000))
    put("bomb.npz", archive([("w.npy", zeros, packed)]), either("bytes more in memory than in the file"))
    put("bomb_lie.npz", archive([("w.npy", good, {**packed, "unpacked": 2**31})]), either("more than deflate can"))
    put("bomb_small.npz", archive([("w.npy", npy("'<f4'", "(25000,)", bytes(100000)), {**packed, "unpacked": 1000})]), either("gives more than the 1000 bytes that the archive says"))
    put("bomb_large.npz", archive([("w.npy", good, {**packed, "unpacked": 300})]), either("the packed data are damaged after 152 of 300 bytes"))
    put("crc.npz", archive([("w.npy", good, {**packed, "crc": 7})]), either("the data are damaged: their checksum is"))
    put("garbage.npz", archive([("w.npy", good, {**packed, "packed": b"\xff" * 30})]), either("the packed data are damaged after 0 of"))
    put("object.npz", archive([("w.npy", npy("'|O'", "(1,)", pickle(call("os", "system"))), {})]), "object.npz: w.npy: byte")
    put("shape.npz", archive([("w.npy", npy("'<f4'", "(2, 4)", FLOATS), {})]), "the shape and dtype need 32 bytes of data, the file has 24")
    put("big.npz", archive([("w.npy", npy("'>f4'", "(2, 3)", FLOATS), {})]), "it is big-endian")
    put("fortran.npz", archive([("w.npy", npy("'<f4'", "(2, 3)", FLOATS, "True"), {})]), "the array is in Fortran order")
    put("twice.npz", archive([("w.npy", good, {}), ("w.npy", good, {})]), "has the member w.npy twice")
    put("text.npz", archive([("w.npy", b"hello", {})]), "not a .npy file")
    put("cut.npy", good[:-1], "is it complete?")


def no_weights():
    put("nothing.pth", b"", "an empty file; download it again")
    put("pointer.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 343000000\n", "a pointer of git-lfs to a file of 343000000 bytes; fetch it with `git lfs pull`")
    put("pointer.pth", "version https://git-lfs.github.com/spec/v1\noid sha256:1234\n", "a pointer of git-lfs")
    put("annex.pth", "/annex/objects/SHA256E-s343--12.pth\n", "a pointer of git-annex; fetch the file with `git annex get`")
    put("page.pth", "<!DOCTYPE html><html><title>404</title></html>", "a web page, perhaps the error page of a failed download")
    put("page.safetensors", "\r\n\n<html>", "a web page")
    put("denied.bin", '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page, perhaps the error page")
    put("denied.txt", "Repository not found", 'text, perhaps the message of a failed download: "Repository not found"')
    put("list.json", "[1, 2]", "JSON; give the file of the weights themselves")
    put("model.gguf", b"GGUF\3\0\0\0" + bytes(16), "a GGUF file of llama.cpp")
    put("model.pth.gz", b"\x1f\x8b\x08" + bytes(20), "compressed with gzip")
    put("model.tar", bytes(257) + b"ustar\0" + bytes(200), "a tar archive; unpack it")
    put("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(40), "an HDF5 file")
    put("checkpoint", 'model_checkpoint_path: "model.ckpt-1"\n', "the list of a TensorFlow checkpoint")
    put("model.ckpt-1.index", bytes(60) + struct.pack("<Q", 0xdb4775248b80fb57), "a part of a TensorFlow checkpoint")
    put("model.ckpt-1.data-00000-of-00001", b"\1\2\3\xff" * 30, "a part of a TensorFlow checkpoint")
    put("model.tflite", b"\x1c\0\0\0TFL3" + bytes(20), "a TensorFlow Lite model")
    put("model.msgpack", b"\x82\xa6params" + bytes(20), "weights of Flax (msgpack)")
    put("model.onnx", b"\x08\x07\x12\x07pytorch", "an ONNX model")
    put("picture.pth", b"\x89PNG\r\n\x1a\n" + bytes(20), "a picture")
    put("zeros.pth", bytes(4096), "zeros; the download seems to have failed")
    put("noise.pth", b"\xf1\xe2\xd3\xc4" * 8, "begins with f1 e2 d3 c4, as no file of weights that is read does; read are safetensors")


def main():
    for make in (pickles_that_run, pickles_that_break, tensors_that_lie, archives_that_lie, old_files, safetensors_and_indexes, arrays, no_weights):
        make()
    corpus = sys.argv[1] == "--corpus"
    folder = sys.argv[-1]
    rows = []
    if corpus:
        written = {"pickle/" + n: c for n, c in PICKLES.items()} | {"pickle/good": GOOD}
        top = {n: c for n, (c, _) in FILES.items() if "/" not in n and n[:-4] not in PICKLES}
        written |= {"zip/" + n: c for n, c in top.items() if c[:2] == b"PK"}
        written |= {"weights/" + n: c for n, c in top.items() if c[:2] != b"PK" or n.startswith(("good", "packed", "little"))}
        written |= {"weights/" + n: FILES[n][0] for n in ("expanded.pth", "stride_huge.pth", "same_name.pth", "system.pth")}
        keep = ("good", "same_name", "old_", "little", "deflated", "system", "eval", "stack", "expanded", "view", "offset", "stride", "billion", "self", "wide", "end64", "packed", "crc", "bomb_",
                "overlap", "within", "twice", "pointer", "page", "denied", "nested", "cut", "shape", "tuple", "long_")
        written = {n: c for n, c in written.items() if len(c) < 8000 and n.split("/")[1].startswith(keep)}
    else:
        written = {n: c for n, (c, _) in FILES.items()}
        rows = [f"{n}\t{line}" for n, (_, e) in FILES.items() for line in e.split("\n")]
        written["expected.tsv"] = ("\n".join(rows) + "\n").encode()
    for n, content in written.items():
        path = os.path.join(folder, n)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content)
    print(f"{len(written)} files, {sum('ok ' not in r for r in rows)} of them to be refused")


main()
