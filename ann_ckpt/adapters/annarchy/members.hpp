// Access to the data members of generated structures: rows of synapses straight into
// the memory of a caller, and everything else flattened into numbers.
#include <cstring>
#include <deque>
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

    const char* take(size_t bytes) {
        if (static_cast<size_t>(end_ - at_) < bytes)
            throw std::runtime_error("fewer values than the sizes ask for");
        const char* taken = at_;
        at_ += bytes;
        return taken;
    }
    template <class T> T next() {
        T value;
        std::memcpy(&value, take(sizeof(T)), sizeof(T));
        return value;
    }
    bool done() const { return at_ == end_; }

  private:
    const char* at_;
    const char* end_;
};

template <class T> struct Shape {
    using element = T;
    static constexpr int depth = 0;
};
template <class T> struct Shape<std::vector<T>> {
    using element = typename Shape<T>::element;
    static constexpr int depth = Shape<T>::depth + 1;
};
template <class T> struct Shape<std::deque<T>> : Shape<std::vector<T>> {};
template <class T> struct Shape<std::queue<T>> : Shape<std::vector<T>> {};

// --- rows of synapses ----------------------------------------------------------------

template <class T> void put(char*& at, char* end, const std::vector<T>& values) {
    if (static_cast<size_t>(end - at) < values.size() * sizeof(T))
        throw std::runtime_error("the rows hold more synapses than there is room for");
    std::copy(values.begin(), values.end(), reinterpret_cast<T*>(at));
    at += values.size() * sizeof(T);
}

// Copy the values of rows low to high - 1 into the memory of `out`.
template <class Struct, class M>
void read_rows(Struct& proj, const M& member, long low, long high, nb::handle out) {
    using T = typename Shape<M>::element;
    Window window(out, true);
    char *at = window.begin(), *end = at + window.size();
    for (long row = low; row < high; row++)
        put<T>(at, end, proj.template get_matrix_variable_row<T>(member, row));
    if (at != end)
        throw std::runtime_error("the rows hold fewer synapses than there is room for");
}

// Set the values of rows low to high - 1 from the memory of `from`.
template <class Struct, class M>
void write_rows(Struct& proj, M& member, long low, long high, nb::handle from) {
    using T = typename Shape<M>::element;
    Window window(from, false);
    Cursor cursor(window);
    for (long row = low; row < high; row++) {
        size_t size = proj.dendrite_size(row);
        auto* first = reinterpret_cast<const T*>(cursor.take(size * sizeof(T)));
        proj.template update_matrix_variable_row<T>(member, row, std::vector<T>(first, first + size));
    }
    if (!cursor.done())
        throw std::runtime_error("more values than the rows hold synapses");
}

template <class Struct> void read_pre_ranks(Struct& proj, long low, long high, nb::handle out) {
    Window window(out, true);
    char *at = window.begin(), *end = at + window.size();
    for (long row = low; row < high; row++) {
        auto ranks = proj.get_dendrite_pre_rank(row);
        put<int>(at, end, std::vector<int>(ranks.begin(), ranks.end()));
    }
    if (at != end)
        throw std::runtime_error("the rows hold fewer synapses than there is room for");
}

template <class Struct> void read_row_sizes(Struct& proj, nb::handle out) {
    Window window(out, true);
    char *at = window.begin(), *end = at + window.size();
    for (long row = 0; at != end; row++)
        put<long>(at, end, std::vector<long>(1, proj.dendrite_size(row)));
}

// --- all synapses anew ---------------------------------------------------------------

// Rows out of flat memory: row i is values[ends[i]] to values[ends[i + 1] - 1], in C++ a T each.
template <class T, class Given>
std::vector<std::vector<T>> cut(nb::handle values, nb::handle ends) {
    Window window(values, false), borders(ends, false);
    Cursor cursor(window), border(borders);
    std::vector<std::vector<T>> rows;
    for (long begin = border.next<long>(); !border.done();) {
        long end = border.next<long>();
        if (end < begin)
            throw std::runtime_error("rows end before they begin");
        auto* first = reinterpret_cast<const Given*>(cursor.take((end - begin) * sizeof(Given)));
        rows.emplace_back(first, first + (end - begin));
        begin = end;
    }
    if (!cursor.done())
        throw std::runtime_error("more values than the rows hold synapses");
    return rows;
}

// Build a projection from int32 ranks and delays and float64 weights, each with the borders of its rows.
template <class Struct, class Rank, class Weight>
bool rebuild(Struct& proj,
             bool (Struct::*init)(std::vector<Rank>, std::vector<std::vector<Rank>>,
                                  std::vector<std::vector<Weight>>, std::vector<std::vector<int>>, bool),
             nb::handle posts, nb::tuple pres, nb::tuple weights, nb::tuple delays) {
    Window window(posts, false);
    auto* first = reinterpret_cast<const int*>(window.begin());
    std::vector<Rank> rows(first, first + window.size() / sizeof(int));
    return (proj.*init)(std::move(rows), cut<Rank, int>(pres[0], pres[1]),
                        cut<Weight, double>(weights[0], weights[1]), cut<int, int>(delays[0], delays[1]),
                        false);
}

// --- any member ----------------------------------------------------------------------

struct Flat {
    std::string values;
    std::vector<std::vector<long>> sizes;
};

template <class T> void flatten(const T& value, size_t level, Flat& flat) {
    if constexpr (Shape<T>::depth == 0) {
        flat.values.append(reinterpret_cast<const char*>(&value), sizeof(T));
    } else {
        using Inner = typename T::value_type;
        flat.sizes[level].push_back(value.size());
        if constexpr (std::is_same_v<T, std::queue<Inner>>) {
            for (auto rest = value; !rest.empty(); rest.pop())
                flatten<Inner>(rest.front(), level + 1, flat);
        } else {
            for (const auto& inner : value)
                flatten<Inner>(inner, level + 1, flat);
        }
    }
}

template <class T> nb::bytes as_bytes(const std::vector<T>& values) {
    return nb::bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// The numbers of a member, and at each level the sizes of the containers there.
template <class M> nb::object get(const M& member) {
    if constexpr (std::is_arithmetic_v<typename Shape<M>::element>) {
        Flat flat{"", std::vector<std::vector<long>>(Shape<M>::depth)};
        flatten<M>(member, 0, flat);
        nb::list sizes;
        for (const auto& level : flat.sizes)
            sizes.append(as_bytes(level));
        return nb::make_tuple(nb::bytes(flat.values.data(), flat.values.size()), sizes);
    } else {
        std::ostringstream text;  // a random distribution
        text << member;
        return nb::make_tuple(nb::bytes(text.str().data(), text.str().size()), nb::list());
    }
}

template <class T> void add(std::vector<T>& to, T&& value) { to.push_back(std::move(value)); }
template <class T> void add(std::deque<T>& to, T&& value) { to.push_back(std::move(value)); }
template <class T> void add(std::queue<T>& to, T&& value) { to.push(std::move(value)); }

template <class T> T build(size_t level, Cursor& values, std::vector<Cursor>& sizes) {
    if constexpr (Shape<T>::depth == 0) {
        return values.next<T>();
    } else {
        T made;
        for (long left = sizes[level].next<long>(); left > 0; left--)
            add(made, build<typename T::value_type>(level + 1, values, sizes));
        return made;
    }
}

template <class M> void set(M& member, nb::handle from, nb::list levels) {
    Window window(from, false);
    if constexpr (std::is_arithmetic_v<typename Shape<M>::element>) {
        Cursor values(window);
        std::deque<Window> held;
        std::vector<Cursor> sizes;
        for (nb::handle level : levels)
            sizes.emplace_back(held.emplace_back(level, false));
        if (sizes.size() != Shape<M>::depth)
            throw std::runtime_error("sizes for another number of levels");
        M made = build<M>(0, values, sizes);
        if (!values.done())
            throw std::runtime_error("more values than the sizes ask for");
        member = std::move(made);
    } else {
        std::istringstream text(std::string(window.begin(), window.size()));
        M made;
        if (!(text >> made))
            throw std::runtime_error("not the text of a random distribution");
        member = made;
    }
}

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

[[noreturn]] inline void no_member(const std::string& name) {
    throw std::runtime_error("no member is called " + name);
}

}  // namespace ann_ckpt

#pragma GCC pop_options
