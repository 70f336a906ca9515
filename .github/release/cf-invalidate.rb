# The Homebrew formula of the command line, for a tap. docs/install.md shows how to use it.
class CfInvalidate < Formula
  desc "Invalidates CloudFront when a site changes"
  homepage "{{repository}}"
  version "{{version}}"
  license any_of: ["MIT", "Apache-2.0"]

  on_macos do
    on_arm do
      url "{{repository}}/releases/download/v{{version}}/cf-invalidate-aarch64-apple-darwin.tar.gz"
      sha256 "{{sha256:cf-invalidate-aarch64-apple-darwin.tar.gz}}"
    end
    on_intel do
      url "{{repository}}/releases/download/v{{version}}/cf-invalidate-x86_64-apple-darwin.tar.gz"
      sha256 "{{sha256:cf-invalidate-x86_64-apple-darwin.tar.gz}}"
    end
  end

  on_linux do
    on_arm do
      url "{{repository}}/releases/download/v{{version}}/cf-invalidate-aarch64-unknown-linux-gnu.tar.gz"
      sha256 "{{sha256:cf-invalidate-aarch64-unknown-linux-gnu.tar.gz}}"
    end
    on_intel do
      url "{{repository}}/releases/download/v{{version}}/cf-invalidate-x86_64-unknown-linux-gnu.tar.gz"
      sha256 "{{sha256:cf-invalidate-x86_64-unknown-linux-gnu.tar.gz}}"
    end
  end

  def install
    bin.install "cf-invalidate"
    man1.install Dir["man/*.1"]
    bash_completion.install "completions/cf-invalidate.bash" => "cf-invalidate"
    fish_completion.install "completions/cf-invalidate.fish"
    zsh_completion.install "completions/_cf-invalidate"
  end

  test do
    assert_match "cf-invalidate #{version}", shell_output("#{bin}/cf-invalidate --version")
    assert_match "/index.html", shell_output("#{bin}/cf-invalidate plan --offline -d E2EXAMPLE1ABCD /index.html")
  end
end
