package mime_test

import (
	"strings"
	"testing"

	"github.com/mailserver-dev/mailserver/server/mime"
)

func TestDecodeHeaderShowsWhatTheSenderMeant(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"plain":                                         "plain",
		"=?utf-8?q?caf=C3=A9?=":                         "café",
		"=?UTF-8?Q?a_b?=":                               "a b",
		"=?utf-8?b?w6TDtsO8?=":                          "äöü",
		"=?utf-8?b?w6TDtsO8":                            "=?utf-8?b?w6TDtsO8",
		"=?utf-8?b?w6TDtsO8?":                           "=?utf-8?b?w6TDtsO8?",
		"=?utf-8?b?w6TDtsO8?= =?utf-8?q?!?=":            "äöü!",
		"=?utf-8?b?w6TDtsO8?=\r\n =?utf-8?q?!?=":        "äöü!",
		"=?utf-8?b?w6TDtsO8?= x =?utf-8?q?!?=":          "äöü x !",
		"a=?utf-8?q?b?=c":                               "abc",
		"=?utf-8?q?=C3?= =?utf-8?q?=A9?=":               "é",
		"=?utf-8?b?w?= =?utf-8?q?x?=":                   "x",
		"=?iso-8859-1?q?caf=E9?=":                       "café",
		"=?iso-8859-2?q?=B1=E6?=":                       "ąć",
		"=?iso-8859-5?q?=BF=E0?=":                       "Пр",
		"=?iso-8859-15?q?=A4?=":                         "€",
		"=?windows-1251?q?=CF=F0=E8?=":                  "При",
		"=?windows-1252?q?=80?=":                        "€",
		"=?cp1252?q?=80?=":                              "€",
		"=?koi8-r?b?8NLJ18XU?=":                         "Привет",
		"=?gb18030?b?xOO6ww==?=":                        "你好",
		"=?gb2312?b?xOO6ww==?=":                         "你好",
		"=?big5?b?p0Gmbg==?=":                           "你好",
		"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=":            "日本",
		"=?shift_jis?b?k/qWew==?=":                      "日本",
		"=?euc-jp?b?xvzL3A==?=":                         "日本",
		"=?euc-kr?b?x9GxuQ==?=":                         "한국",
		"=?ks_c_5601-1987?b?x9GxuQ==?=":                 "한국",
		"=?us-ascii?q?caf=E9?=":                         "café",
		"=?x-nobody-knows?q?caf=C3=A9?=":                "café",
		"=?x-nobody-knows?q?caf=E9?=":                   "café",
		"=?utf-8?q?caf=E9?=":                            "café",
		"=?utf-8*de?q?gr=C3=BCn?=":                      "grün",
		"=?utf-8?q?What now??=":                         "What now?",
		"=?utf-8?q?=zz=4?=":                             "=zz=4",
		"=?utf-8?x?abc?=":                               "=?utf-8?x?abc?=",
		"=??q?abc?=":                                    "=??q?abc?=",
		"=?utf-8?q?a=0D=0ABcc:_x?=":                     "aBcc: x",
		"=?utf-8?q?a=00b?=":                             "ab",
		"folded\r\n\ttext":                              "folded text",
		"caf\xe9":                                       "café",
		"=?utf-8?q?" + strings.Repeat("a", 2000) + "?=": strings.Repeat("a", 2000),
	}
	for raw, want := range cases {
		if got := mime.DecodeHeader(raw); got != want {
			t.Errorf("DecodeHeader(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestEncodedWordsThatNeverEndTakeLinearTime(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"=?", "=?a?q?", "=?a?b?b", "=?a?q?b?= "} {
		value := strings.Repeat(piece, mime.MaxHeaderField/len(piece))
		within(t, piece, func() { mime.DecodeHeader(value) })
	}
}
