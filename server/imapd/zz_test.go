package imapd_test
import ("testing";"os";"os/exec";"path/filepath";"encoding/pem";"fmt";"net";"math/rand/v2")
func TestZZ(t *testing.T){
	e:=newEnv(t); w:=e.person("ann")
	rng := rand.New(rand.NewPCG(1, 2))
	for i:=range 500 { w.deliver("INBOX", generated(rng,i)) }
	w.login().ok("CREATE \"B&APw-ro/x\"")
	pair,_:=certificateOnce()
	d:=t.TempDir(); ca:=filepath.Join(d,"ca.pem"); os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type:"CERTIFICATE",Bytes:pair.Certificate[0]}),0o600)
	_,port,_:=net.SplitHostPort(e.secure)
	cfg:=fmt.Sprintf(`IMAPAccount a
Host localhost
Port %s
User ann@example.test
Pass "%s"
SSLType IMAPS
CertificateFile %s

IMAPStore far
Account a

MaildirStore near
Path %s/mail/
Inbox %s/mail/Inbox
SubFolders Verbatim

Channel c
Master :far:
Slave :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
`,port,password,ca,d,d)
	os.WriteFile(d+"/rc",[]byte(cfg),0o600)
	os.Mkdir(d+"/mail",0o700)
	for range 2 {
		out,err:=exec.Command("mbsync","-c",d+"/rc","-a","-V").CombinedOutput()
		t.Logf("%v\n%s",err,out)
	}
	out,_:=exec.Command("sh","-c","ls -R "+d+"/mail | head -30; ls "+d+"/mail/Inbox/*/ | wc -l; f=$(ls "+d+"/mail/Inbox/cur/* | head -3); cat -A $f | head -20; mv $(ls "+d+"/mail/Inbox/cur/*  | head -1) $(ls "+d+"/mail/Inbox/cur/* | head -1)T; printf 'Subject: local\\n\\nnew\\n' > "+d+"/mail/Inbox/new/1.x").CombinedOutput()
	t.Logf("%s",out)
	out,err:=exec.Command("mbsync","-c",d+"/rc","-a","-V").CombinedOutput()
	t.Logf("%v\n%s",err,out)
	out,err=exec.Command("mbsync","-c",d+"/rc","-a","-V").CombinedOutput()
	t.Logf("%v\n%s",err,out)
	out,err=exec.Command("curl","-sv","--cacert",ca,"--resolve","localhost:"+port+":127.0.0.1","-u","ann@example.test:"+password,"imaps://localhost:"+port+"/INBOX;MAILINDEX=3;SECTION=HEADER").CombinedOutput()
	t.Logf("%v\n%s",err,out)
	out,err=exec.Command("curl","-s","--cacert",ca,"-u","ann@example.test:"+password,"imaps://localhost:"+port+"/INBOX?SUBJECT%20local").CombinedOutput()
	t.Logf("%v\n%s",err,out)
}
