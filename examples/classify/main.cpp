// Classifies a photograph with the network that `netc models/lenet.net --emit library -o out` made: classify WEIGHTS
// PHOTO.jpg
#include <lenet.h>
#include <turbojpeg.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

namespace {

struct Photo {
  std::vector<unsigned char> pixels;
  int width = 0, height = 0;
};

/// Empty when the file is no JPEG.
Photo read_jpeg(const char* path) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<unsigned char> file{std::istreambuf_iterator<char>(in), {}};
  Photo photo;
  int sampling = 0, colours = 0;
  tjhandle jpeg = tjInitDecompress();
  if (tjDecompressHeader3(jpeg, file.data(), file.size(), &photo.width, &photo.height, &sampling, &colours) == 0) {
    photo.pixels.resize(size_t{3} * photo.width * photo.height);
    if (tjDecompress2(jpeg, file.data(), file.size(), photo.pixels.data(), photo.width, 0, photo.height, TJPF_RGB, 0) !=
        0)
      photo.pixels.clear();
  }
  tjDestroy(jpeg);
  return photo;
}

int fail(const std::string& why) { return std::fprintf(stderr, "classify: %s\n", why.c_str()), 1; }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return fail("usage: classify WEIGHTS PHOTO.jpg");
  const Photo photo = read_jpeg(argv[2]);
  if (photo.pixels.empty()) return fail(std::string(argv[2]) + " cannot be read as a JPEG");
  lenet::LeNet net;
  if (!net.load(argv[1])) return fail(net.error());
  const float* probability = net.predict(photo.pixels.data(), photo.height, photo.width);
  if (!probability) return fail(net.error());
  for (int i = 0; i < net.outputs; ++i) std::printf("%-10s %.4f\n", net.class_name(i), probability[i]);
}
