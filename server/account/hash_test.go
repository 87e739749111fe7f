package account

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// cheap is for tests whose subject is not the cost.
func cheap() Argon2 { return Argon2{Time: 1, MemoryKiB: 64, Threads: 1} }

func TestTheDefaultCostIsWhatTheStoredHashSays_A24(t *testing.T) {
	t.Parallel()
	text := Argon2{}.orDefault().hash("correct horse battery")
	if !regexp.MustCompile(`^\$argon2id\$v=19\$m=65536,t=3,p=4\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`).MatchString(text) {
		t.Fatalf("stored as %s", text)
	}
	h, err := parseHash(text)
	if err != nil {
		t.Fatal(err)
	}
	if h.argon != (Argon2{Time: 3, MemoryKiB: 65536, Threads: 4}) || len(h.salt) != 16 || len(h.key) != 32 {
		t.Fatalf("read back as %+v, salt %d, key %d", h.argon, len(h.salt), len(h.key))
	}
	if !h.matches("correct horse battery") || h.matches("correct horse batterz") {
		t.Fatal("the hash does not tell right from wrong")
	}
	if h.outdated(Argon2{}.orDefault()) || !h.outdated(cheap()) {
		t.Fatal("outdated does not compare the cost")
	}
}

func TestEveryHashHasItsOwnSalt(t *testing.T) {
	t.Parallel()
	first, second := cheap().hash("x"), cheap().hash("x")
	if first == second {
		t.Fatal("two hashes of one password are equal")
	}
}

func TestTheSameLettersTypedDifferentlyAreOnePassword(t *testing.T) {
	t.Parallel()
	h, err := parseHash(cheap().hash("p\u00e4ssword with umlaut"))
	if err != nil || !h.matches("pa\u0308ssword with umlaut") {
		t.Fatalf("NFD of an NFC password is refused (%v)", err)
	}
}

// Known answers: argon2id of RFC 9106 implementations, bcrypt and sha512-crypt of libxcrypt.
func TestHashesOfOtherSystemsAreRead(t *testing.T) {
	t.Parallel()
	nine := strings.Repeat("pässwörd", 9)
	for _, c := range []struct{ password, text string }{
		{"Hello world!", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"},
		{"Hello world!", "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."},
		{"", "$6$ab$xnh5Qsr2NdbFw1PgdZie7nLON3gv.S.23iQDBqAzkdoXPtDnVSpludXkM5UWybQO3OI7hBj9wHg9Ow6sUWD60/"},
		{nine, "$6$rounds=1000$x$5ly5EX2ESc9d5F7zIHUlS0qyS658Q8wE4RL4qO3yxQffJ9Qj.S3lhPb4b51Eg.zvKZrb0yize5I/LBg.QyOr9/"},
		{strings.Repeat("a", 64), "$6$0123456789abcdef$ipFGTT/73.BzXmo/SjfZu/hf2Tof5c.WyJX64QD1bg3N/ZixJRkkPm3OILYn2zHr72.okDV8nsvtmRxuAfyTA/"},
		{"exactly-a-secret", "$6$rounds=1400$anotherlongsalts$WXC1ZyKUJW6OOHExvqB1XCKrCIJOlF7AB4nKDHZVf7geM/sT53cYX2l1c8CXIyi4B//joYGCX.jFS7ujJp.cm/"},
		{"correct horse", "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"},
		{"correct horse", "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"},
	} {
		h, err := parseHash(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if !h.matches(c.password) {
			t.Errorf("%s: the right password is refused", c.text)
		}
		if h.matches(c.password + "x") {
			t.Errorf("%s: a wrong password is accepted", c.text)
		}
		if !h.outdated(cheap()) {
			t.Errorf("%s: would never be replaced", c.text)
		}
	}
}

func TestHashesThatCannotBeCheckedInReasonableTimeAreRefused(t *testing.T) {
	t.Parallel()
	salt, key := "c29tZXNhbHRzb21lc2FsdA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	digest := strings.Repeat("a", 86)
	for _, text := range []string{
		"", "plain", "{SHA}xxx", "$1$abc$def", "$5$abc$def", "$argon2i$v=19$m=65536,t=3,p=4$" + salt + "$" + key,
		"$argon2id$v=16$m=65536,t=3,p=4$" + salt + "$" + key,
		"$argon2id$v=19$m=1048576,t=3,p=4$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=1000,p=4$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=3,p=255$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=0,p=4$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=-3,p=4$" + salt + "$" + key,
		"$argon2id$v=19$t=3,m=65536,p=4$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=3$" + salt + "$" + key,
		"$argon2id$v=19$m=65536,t=3,p=4$$" + key,
		"$argon2id$v=19$m=65536,t=3,p=4$" + salt + "$",
		"$argon2id$v=19$m=65536,t=3,p=4$!!$" + key,
		"$argon2id$v=19$m=65536,t=3,p=4$" + salt + "$" + key + "$",
		"$2b$31$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
		"$2b$05$short", "$2", "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2x",
		"$6$", "$6$salt", "$6$salt$short", "$6$rounds=999$salt$" + digest, "$6$rounds=999999999$salt$" + digest, "$6$rounds=x$salt$" + digest,
		"$6$" + strings.Repeat("s", 17) + "$" + digest, "$6$salt$" + digest[:85] + "!", strings.Repeat("$6$", 1000),
	} {
		if _, err := parseHash(text); !errors.Is(err, ErrHash) {
			t.Errorf("%.80q is accepted: %v", text, err)
		}
	}
}

func TestTheDummyCostsTheSameAndMatchesNothing_S21(t *testing.T) {
	t.Parallel()
	h := dummyHash(cheap())
	if h.argon != cheap() || h.outdated(cheap()) {
		t.Fatalf("the dummy costs %+v", h.argon)
	}
	for _, password := range []string{"", "x", "correct horse battery"} {
		if h.matches(password) {
			t.Fatalf("%q opens the dummy", password)
		}
	}
	if (passwordHash{}).matches("") {
		t.Fatal("the zero hash matches the empty password")
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(cheap().hash("x"))
	f.Add("$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2")
	f.Add("$6$rounds=1000$x$5ly5EX2ESc9d5F7zIHUlS0qyS658Q8wE4RL4qO3yxQffJ9Qj.S3lhPb4b51Eg.zvKZrb0yize5I/LBg.QyOr9/")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err != nil {
			return
		}
		if h.argon.MemoryKiB > maxArgonMemoryKiB || h.argon.Time > maxArgonTime || h.crypt.rounds > maxCryptRounds {
			t.Fatalf("%q may be checked", text)
		}
		if h.crypt.digest != "" && h.crypt.rounds <= 2000 {
			h.matches("password")
		}
	})
}
