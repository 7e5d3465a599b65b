// Access to the data members of generated structures: rows of synapses straight into
// the memory of a caller, and everything else flattened into numbers.
//
// Compiling this adds to the compiling of each network. So what is a template is small, and made once
// for each C++ type and each storage format, not for each structure and member; and Python sees
// functions that are made once for all structures.
#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <queue>
#include <random>
#include <sstream>
#include <stdexcept>

extern std::vector<std::mt19937> rng;

// Optimizing these as hard as the simulation took half of the time that they add to compiling, and
// what they do is copying.
#pragma GCC push_options
#pragma GCC optimize("O1")

namespace ann_ckpt {

namespace nb = nanobind;

// The memory of a numpy array or a bytes object, while this stands.
class Window {
  public:
    Window(nb::handle owner, bool writable) {
        int flags = PyBUF_C_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(owner.ptr(), &view_, flags) != 0)
            throw nb::python_error();
    }
    Window(const Window&) = delete;
    ~Window() { PyBuffer_Release(&view_); }

    const char* begin() const { return static_cast<const char*>(view_.buf); }
    char* begin() { return static_cast<char*>(view_.buf); }
    size_t size() const { return view_.len; }

  private:
    Py_buffer view_;
};

// Takes numbers out of memory, never beyond its end.
class Cursor {
  public:
    explicit Cursor(const Window& from) : at_(from.begin()), end_(from.begin() + from.size()) {}

    // The next `count` numbers, in place.
    template <class T> const T* take(size_t count) {
        if (left<T>() < count)
            throw std::runtime_error("fewer values than the sizes ask for");
        const char* taken = at_;
        at_ += count * sizeof(T);
        return reinterpret_cast<const T*>(taken);
    }
    template <class T> size_t left() const { return (end_ - at_) / sizeof(T); }
    bool done() const { return at_ == end_; }
    void finish() const {
        if (!done())
            throw std::runtime_error("more values than the sizes ask for");
    }

  private:
    const char* at_;
    const char* end_;
};

// Puts numbers into memory, never beyond its end.
class Filler {
  public:
    explicit Filler(Window& to) : at_(to.begin()), end_(to.begin() + to.size()) {}

    template <class T, class Values> void put(const Values& values) {
        if (static_cast<size_t>(end_ - at_) < values.size() * sizeof(T))
            throw std::runtime_error("the rows hold more synapses than there is room for");
        std::copy(values.begin(), values.end(), reinterpret_cast<T*>(at_));
        at_ += values.size() * sizeof(T);
    }
    void finish() const {
        if (at_ != end_)
            throw std::runtime_error("the rows hold fewer synapses than there is room for");
    }

  private:
    char* at_;
    char* end_;
};

template <class T> struct Shape {
    using element = T;
    static constexpr size_t depth = 0;
};
template <class T> struct Shape<std::vector<T>> {
    using element = typename Shape<T>::element;
    using storage = std::vector<T>;
    static constexpr size_t depth = Shape<T>::depth + 1;
};
template <class T> struct Shape<std::deque<T>> : Shape<std::vector<T>> {
    using storage = std::deque<T>;
};
template <class T> struct Shape<std::queue<T>> : Shape<std::deque<T>> {};

// --- rows of synapses ----------------------------------------------------------------

// What a storage format knows of its rows, of every structure that has it.
struct Rows {
    void (*pre_ranks)(void* format, long low, long high, Filler& out);
    void (*sizes)(void* format, long low, long high, Filler& out);
};

template <class Format> void pre_ranks(void* format, long low, long high, Filler& out) {
    for (long row = low; row < high; row++)
        out.put<int>(static_cast<Format*>(format)->get_dendrite_pre_rank(row));
}

template <class Format> void sizes(void* format, long low, long high, Filler& out) {
    for (long row = low; row < high; row++)
        out.put<long>(std::initializer_list<long>{static_cast<Format*>(format)->dendrite_size(row)});
}

template <class Format> constexpr Rows rows_of{pre_ranks<Format>, sizes<Format>};

// How the values of a C++ type, one for each synapse, are copied out of and into rows of a storage format.
struct ByRow {
    void (*read)(void* format, const void* member, long low, long high, Filler& out);
    void (*write)(void* format, void* member, long low, long high, Cursor& from);
};

template <class Format, class M>
void read_rows(void* format, const void* member, long low, long high, Filler& out) {
    using T = typename Shape<M>::element;
    for (long row = low; row < high; row++)
        out.put<T>(static_cast<Format*>(format)->template get_matrix_variable_row<T>(
            *static_cast<const M*>(member), row));
}

template <class Format, class M>
void write_rows(void* format, void* member, long low, long high, Cursor& from) {
    using T = typename Shape<M>::element;
    for (long row = low; row < high; row++) {
        size_t size = static_cast<Format*>(format)->dendrite_size(row);
        const T* first = from.take<T>(size);
        static_cast<Format*>(format)->template update_matrix_variable_row<T>(
            *static_cast<M*>(member), row, std::vector<T>(first, first + size));
    }
}

template <class Format, class M> constexpr ByRow by_row_of{read_rows<Format, M>, write_rows<Format, M>};

// --- any other member ----------------------------------------------------------------

// The numbers of a member, and at each level the sizes of the containers there.
struct Flat {
    std::string values;
    std::vector<std::vector<long>> sizes;

    void add(const void* at, size_t bytes) { values.append(static_cast<const char*>(at), bytes); }
    void add_size(size_t level, long size) { sizes[level].push_back(size); }
};

// The same in the memory of a caller.
struct Source {
    Cursor values;
    std::vector<Cursor> sizes;

    size_t size(size_t level) { return *sizes[level].take<long>(1); }
};

// How a member of a C++ type becomes numbers, and numbers become a member.
struct Whole {
    size_t depth;
    void (*read)(const void* member, Flat& flat);
    void (*write)(void* member, Source& from);
};

template <class T> void flatten(const T& value, size_t level, Flat& flat) {
    if constexpr (Shape<T>::depth == 0) {
        flat.add(&value, sizeof(T));
    } else if constexpr (!std::is_same_v<T, typename Shape<T>::storage>) {
        auto rest = value;  // a queue
        flat.add_size(level, rest.size());
        for (; !rest.empty(); rest.pop())
            flatten<typename T::value_type>(rest.front(), level + 1, flat);
    } else {
        flat.add_size(level, value.size());
        for (const auto& inner : value)
            flatten<typename T::value_type>(inner, level + 1, flat);
    }
}

template <class T> T build(size_t level, Source& from) {
    if constexpr (Shape<T>::depth == 0) {
        return *from.values.take<T>(1);
    } else if constexpr (Shape<T>::depth == 1) {
        size_t size = from.size(level);
        auto* first = from.values.take<typename T::value_type>(size);
        return T(typename Shape<T>::storage(first, first + size));
    } else {
        size_t size = from.size(level);
        if (from.sizes[level + 1].left<long>() < size)
            throw std::runtime_error("fewer sizes than there are containers");
        typename Shape<T>::storage made(size);
        for (auto& inner : made)
            inner = build<typename T::value_type>(level + 1, from);
        return T(std::move(made));
    }
}

template <class M> void read_whole(const void* member, Flat& flat) {
    if constexpr (std::is_arithmetic_v<typename Shape<M>::element>) {
        flatten<M>(*static_cast<const M*>(member), 0, flat);
    } else {
        std::ostringstream text;  // a random distribution
        text << *static_cast<const M*>(member);
        flat.values = text.str();
    }
}

template <class M> void write_whole(void* member, Source& from) {
    if constexpr (std::is_arithmetic_v<typename Shape<M>::element>) {
        M made = build<M>(0, from);
        from.values.finish();
        *static_cast<M*>(member) = std::move(made);
    } else {
        size_t size = from.values.left<char>();
        std::istringstream text(std::string(from.values.take<char>(size), size));
        M made;
        if (!(text >> made))
            throw std::runtime_error("not the text of a random distribution");
        *static_cast<M*>(member) = made;
    }
}

template <class M> constexpr Whole whole_of{Shape<M>::depth, read_whole<M>, write_whole<M>};

// --- all synapses anew ---------------------------------------------------------------

// Rows in flat memory: row i is values[borders[i]] to values[borders[i + 1] - 1].
struct FlatRows {
    explicit FlatRows(nb::tuple both) : values(both[0], false), borders(both[1], false) {}
    Window values, borders;
};

// Int32 ranks and delays and float64 weights.
struct Synapses {
    Window posts;
    FlatRows pres, weights, delays;
};

template <class T, class Given> std::vector<std::vector<T>> cut(const FlatRows& flat) {
    Cursor values(flat.values), borders(flat.borders);
    long begin = *borders.take<long>(1);
    std::vector<std::vector<T>> rows(borders.left<long>());
    for (auto& row : rows) {
        long end = *borders.take<long>(1);
        if (end < begin)
            throw std::runtime_error("rows end before they begin");
        auto* first = values.take<Given>(end - begin);
        row = std::vector<T>(first, first + (end - begin));
        begin = end;
    }
    values.finish();
    return rows;
}

template <class Struct, class Rank, class Weight>
bool rebuild(Struct& proj,
             bool (Struct::*init)(std::vector<Rank>, std::vector<std::vector<Rank>>,
                                  std::vector<std::vector<Weight>>, std::vector<std::vector<int>>, bool),
             const Synapses& given) {
    auto* first = reinterpret_cast<const int*>(given.posts.begin());
    return (proj.*init)(std::vector<Rank>(first, first + given.posts.size() / sizeof(int)),
                        cut<Rank, int>(given.pres), cut<Weight, double>(given.weights),
                        cut<int, int>(given.delays), false);
}

// --- structures ----------------------------------------------------------------------

// What one object of a generated structure has.
struct Object {
    struct Member {
        const char* name;
        void* at;
        const Whole* whole;   // either this
        const ByRow* by_row;  // or that
    };
    std::vector<Member> members;
    void* format = nullptr;
    const Rows* rows = nullptr;

    void add(const char* name, void* at, const Whole* whole, const ByRow* by_row) {
        members.push_back({name, at, whole, by_row});
    }
    template <class M> void add(const char* name, M& at) { add(name, &at, &whole_of<M>, nullptr); }
    template <class Format, class M> void add(const char* name, M& at, Format&) {
        add(name, &at, nullptr, &by_row_of<Format, M>);
    }
    template <class Format> void add_rows(Format& at) {
        format = &at;
        rows = &rows_of<Format>;
    }
};

// The storage format of an object: the class that its rows come from.
template <class Format, class Struct, class Ranks, class Row>
Format& format_of(Struct& obj, Ranks (Format::*)(Row)) {
    return obj;
}

// A generated structure.
struct Structure {
    const char* about;  // as JSON
    void (*look)(void* obj, Object& found);
    bool has_rows;
    bool (*rebuild)(void* obj, const Synapses& given);  // null if it cannot
    bool (*stepped)(void* obj);                         // whether a simulation step is one of this object
};

// A structure and its class in Python. The functions take objects of it as they come, because a
// function of a C++ type of its own would be compiled for each structure; so they are checked here.
struct Bound {
    const Structure* structure;
    nb::handle cls;

    void* pointer(nb::handle self) const {
        if (!self.type().is(cls) || !nb::inst_ready(self))
            throw nb::type_error("not an object of this class");
        return nb::inst_ptr<void>(self);
    }
    Object look(nb::handle self) const {
        Object found;
        structure->look(pointer(self), found);
        return found;
    }
};

inline const Object::Member& find(const Object& obj, const std::string& name, bool by_row) {
    for (const auto& member : obj.members)
        if (member.name == name && (member.by_row != nullptr) == by_row)
            return member;
    throw std::runtime_error("no member is called " + name);
}

inline nb::object get(const Object& obj, const std::string& name) {
    const auto& member = find(obj, name, false);
    Flat flat{"", std::vector<std::vector<long>>(member.whole->depth)};
    member.whole->read(member.at, flat);
    nb::list sizes;
    for (const auto& level : flat.sizes)
        sizes.append(nb::bytes(level.data(), level.size() * sizeof(long)));
    return nb::make_tuple(nb::bytes(flat.values.data(), flat.values.size()), sizes);
}

inline void set(const Object& obj, const std::string& name, nb::handle values, nb::list levels) {
    const auto& member = find(obj, name, false);
    Window window(values, false);
    std::deque<Window> held;
    Source from{Cursor(window), {}};
    for (nb::handle level : levels)
        from.sizes.emplace_back(held.emplace_back(level, false));
    if (from.sizes.size() != member.whole->depth)
        throw std::runtime_error("sizes for another number of levels");
    member.whole->write(member.at, from);
}

// Give the class of a structure the functions that Python calls.
inline void extend(nb::handle cls, const Structure& structure) {
    const Bound of{&structure, cls};
    auto def = [cls](const char* name, auto function) {
        nb::cpp_function_def(std::move(function), nb::scope(cls), nb::name(name), nb::is_method());
    };
    def("_ann_ckpt", [of](nb::handle) { return of.structure->about; });
    def("_ann_ckpt_stepped", [of](nb::handle self) { return of.structure->stepped(of.pointer(self)); });
    def("_ann_ckpt_get",
        [of](nb::handle self, const std::string& name) { return get(of.look(self), name); });
    def("_ann_ckpt_set", [of](nb::handle self, const std::string& name, nb::handle values,
                              nb::list sizes) { set(of.look(self), name, values, sizes); });
    if (structure.has_rows) {
        // Copy the values of rows low to high - 1 into the memory of `out`.
        def("_ann_ckpt_read_rows",
            [of](nb::handle self, const std::string& name, long low, long high, nb::handle out) {
                Object obj = of.look(self);
                const auto& member = find(obj, name, true);
                Window window(out, true);
                Filler filler(window);
                member.by_row->read(obj.format, member.at, low, high, filler);
                filler.finish();
            });
        // Set the values of rows low to high - 1 from the memory of `values`.
        def("_ann_ckpt_write_rows",
            [of](nb::handle self, const std::string& name, long low, long high, nb::handle values) {
                Object obj = of.look(self);
                const auto& member = find(obj, name, true);
                Window window(values, false);
                Cursor cursor(window);
                member.by_row->write(obj.format, member.at, low, high, cursor);
                cursor.finish();
            });
        def("_ann_ckpt_read_pre_ranks", [of](nb::handle self, long low, long high, nb::handle out) {
            Object obj = of.look(self);
            Window window(out, true);
            Filler filler(window);
            obj.rows->pre_ranks(obj.format, low, high, filler);
            filler.finish();
        });
        def("_ann_ckpt_read_row_sizes", [of](nb::handle self, nb::handle out) {
            Object obj = of.look(self);
            Window window(out, true);
            Filler filler(window);
            obj.rows->sizes(obj.format, 0, window.size() / sizeof(long), filler);
            filler.finish();
        });
    }
    if (structure.rebuild != nullptr)
        def("_ann_ckpt_rebuild", [of](nb::handle self, nb::handle posts, nb::tuple pres, nb::tuple weights,
                                      nb::tuple delays) {
            Synapses given{Window(posts, false), FlatRows(pres), FlatRows(weights), FlatRows(delays)};
            return of.structure->rebuild(of.pointer(self), given);
        });
}

// Does so in the midst of the definition of the class: cls.def(Extension(structure)).
struct Extension : nb::def_visitor<Extension> {
    explicit Extension(const Structure& extended) : structure(extended) {}
    template <class Class> void execute(Class& cls) { extend(cls, structure); }
    const Structure& structure;
};

// --- recorders -----------------------------------------------------------------------

// The type of a number as numpy writes it.
template <class T> constexpr const char* numpy_type() {
    if constexpr (std::is_same_v<T, bool>)
        return "?";
    else if constexpr (std::is_floating_point_v<T>)
        return sizeof(T) == 8 ? "f8" : "f4";
    else
        return sizeof(T) == 8 ? "i8" : sizeof(T) == 4 ? "i4" : sizeof(T) == 2 ? "i2" : "i1";
}

template <class T> bool same_sizes(const T& some, const T& other) {
    if constexpr (Shape<T>::depth > 0) {
        if (some.size() != other.size())
            return false;
        if constexpr (Shape<T>::depth > 1)
            for (size_t i = 0; i < some.size(); i++)
                if (!same_sizes(some[i], other[i]))
                    return false;
    }
    return true;
}

// How a recorder of ANNarchy keeps a variable: one record behind the other, or events of each neuron.
struct Tape {
    const char* type;
    size_t levels;  // of containers inside a record; 2 for events: the neurons, and how many each has
    bool events;
    size_t (*length)(const void* tape);
    bool (*even)(const void* tape);  // whether all records have the same sizes
    void (*read)(const void* tape, size_t low, size_t high, Flat& flat);
    void (*append)(void* tape, size_t count, Source& from);
    void (*clear)(void* tape);
};

template <class M> struct Taped {
    using Record = typename M::value_type;
    static constexpr size_t levels = Shape<M>::depth - 1;
    static constexpr bool events = false;
    using element = typename Shape<M>::element;

    static const M& of(const void* tape) { return *static_cast<const M*>(tape); }
    static size_t length(const void* tape) { return of(tape).size(); }
    static bool even(const void* tape) {
        if constexpr (levels > 0)
            for (const auto& record : of(tape))
                if (!same_sizes<Record>(of(tape).front(), record))
                    return false;
        return true;
    }
    static void read(const void* tape, size_t low, size_t high, Flat& flat) {
        for (size_t i = low; i < std::min(high, of(tape).size()); i++) {
            if constexpr (levels == 1 && !std::is_same_v<element, bool>) {
                flat.add_size(0, of(tape)[i].size());
                flat.add(of(tape)[i].data(), of(tape)[i].size() * sizeof(element));
            } else {
                flatten<Record>(of(tape)[i], 0, flat);
            }
        }
    }
    static void append(void* tape, size_t count, Source& from) {
        for (size_t i = 0; i < count; i++)
            static_cast<M*>(tape)->push_back(build<Record>(0, from));
    }
    static void clear(void* tape) { M().swap(*static_cast<M*>(tape)); }
};

template <class T> struct Taped<std::map<int, std::vector<T>>> {
    using M = std::map<int, std::vector<T>>;
    static constexpr size_t levels = 2;
    static constexpr bool events = true;
    using element = T;

    static size_t length(const void* tape) {
        size_t count = 0;
        for (const auto& [rank, times] : *static_cast<const M*>(tape))
            count += times.size();
        return count;
    }
    static bool even(const void*) { return true; }
    static void read(const void* tape, size_t, size_t, Flat& flat) {
        for (const auto& [rank, times] : *static_cast<const M*>(tape)) {
            flat.add_size(0, rank);
            flat.add_size(1, times.size());
            flat.add(times.data(), times.size() * sizeof(T));
        }
    }
    static void append(void* tape, size_t count, Source& from) {
        for (size_t i = 0; i < count; i++) {
            auto& times = (*static_cast<M*>(tape))[static_cast<int>(from.size(0))];
            size_t size = from.size(1);
            const T* first = from.values.take<T>(size);
            times.insert(times.end(), first, first + size);
        }
    }
    static void clear(void* tape) {
        for (auto& [rank, times] : *static_cast<M*>(tape))
            std::vector<T>().swap(times);
    }
};

template <class M>
constexpr Tape tape_of{numpy_type<typename Taped<M>::element>(), Taped<M>::levels, Taped<M>::events,
                       Taped<M>::length, Taped<M>::even, Taped<M>::read, Taped<M>::append, Taped<M>::clear};

// When a recorder records: what is not public, seen as a derived class sees it.
struct Timing : ::Monitor {
    static nb::object get(::Monitor& monitor) {
        return nb::make_tuple(monitor.*(&Timing::period_), monitor.*(&Timing::period_offset_),
                              monitor.*(&Timing::offset_));
    }
    static void set_offset(::Monitor& monitor, long offset) { monitor.*(&Timing::offset_) = offset; }
};

// What one recorder has.
struct Tapes {
    struct Entry {
        const char* name;
        void* at;
        const Tape* tape;
    };
    ::Monitor* monitor = nullptr;
    std::vector<Entry> entries;

    template <class M> void add(const char* name, M& at) { entries.push_back({name, &at, &tape_of<M>}); }
    const Entry& find(const std::string& name) const {
        for (const auto& entry : entries)
            if (entry.name == name)
                return entry;
        throw std::runtime_error("no variable is called " + name);
    }
};

// A class of recorders, and the class in Python.
struct Recorder {
    void (*look)(void* recorder, Tapes& found);
};

inline void extend_recorder(nb::handle cls, const Recorder& recorder) {
    auto look = [cls, &recorder](nb::handle self) {
        if (!self.type().is(cls) || !nb::inst_ready(self))
            throw nb::type_error("not an object of this class");
        Tapes found;
        recorder.look(nb::inst_ptr<void>(self), found);
        return found;
    };
    auto def = [cls](const char* name, auto function) {
        nb::cpp_function_def(std::move(function), nb::scope(cls), nb::name(name), nb::is_method());
    };
    def("_ann_ckpt_timing", [look](nb::handle self) { return Timing::get(*look(self).monitor); });
    def("_ann_ckpt_set_offset",
        [look](nb::handle self, long offset) { Timing::set_offset(*look(self).monitor, offset); });
    def("_ann_ckpt_names", [look](nb::handle self) {
        nb::list names;
        for (const auto& entry : look(self).entries)
            names.append(entry.name);
        return names;
    });
    // Type, levels, whether it is events, length, and whether all records have the same sizes.
    def("_ann_ckpt_tape", [look](nb::handle self, const std::string& name) {
        const auto found = look(self).find(name);
        return nb::make_tuple(found.tape->type, found.tape->levels, found.tape->events,
                              found.tape->length(found.at), found.tape->even(found.at));
    });
    def("_ann_ckpt_read", [look](nb::handle self, const std::string& name, size_t low, size_t high) {
        const auto found = look(self).find(name);
        Flat flat{"", std::vector<std::vector<long>>(found.tape->levels)};
        found.tape->read(found.at, low, high, flat);
        nb::list sizes;
        for (const auto& level : flat.sizes)
            sizes.append(nb::bytes(level.data(), level.size() * sizeof(long)));
        return nb::make_tuple(nb::bytes(flat.values.data(), flat.values.size()), sizes);
    });
    def("_ann_ckpt_append", [look](nb::handle self, const std::string& name, size_t count, nb::handle values,
                                   nb::list levels) {
        const auto found = look(self).find(name);
        Window window(values, false);
        std::deque<Window> held;
        Source from{Cursor(window), {}};
        for (nb::handle level : levels)
            from.sizes.emplace_back(held.emplace_back(level, false));
        if (from.sizes.size() != found.tape->levels)
            throw std::runtime_error("sizes for another number of levels");
        found.tape->append(found.at, count, from);
        from.values.finish();
    });
    def("_ann_ckpt_clear", [look](nb::handle self, const std::string& name) {
        const auto found = look(self).find(name);
        found.tape->clear(found.at);
    });
}

// Does so in the midst of the definition of the class, as Extension does.
struct RecorderExtension : nb::def_visitor<RecorderExtension> {
    explicit RecorderExtension(const Recorder& extended) : recorder(extended) {}
    template <class Class> void execute(Class& cls) { extend_recorder(cls, recorder); }
    const Recorder& recorder;
};

// --- random generators -----------------------------------------------------------------

inline std::vector<std::string> get_generators() {
    std::vector<std::string> texts;
    for (const auto& generator : rng) {
        std::ostringstream text;
        text << generator;
        texts.push_back(text.str());
    }
    return texts;
}

inline void set_generators(const std::vector<std::string>& texts) {
    std::vector<std::mt19937> made;
    for (const auto& given : texts) {
        std::istringstream text(given);
        made.emplace_back();
        if (!(text >> made.back()))
            throw std::runtime_error("not the text of a Mersenne twister");
    }
    if (made.size() != rng.size())
        throw std::runtime_error("another number of random generators");
    rng = std::move(made);
}

}  // namespace ann_ckpt

#pragma GCC pop_options
