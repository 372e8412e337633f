// MQTT load: N connections publish telemetry, QoS 0 or 1, with a window of unacknowledged messages each; prints rates, the
// CPU of the server process and acknowledgement latencies. Usage: host port pid connections qos window seconds [rate]
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <sys/resource.h>
static double now(){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec+t.tv_nsec/1e9;}
static double cpu(int pid){char p[64],b[1024];snprintf(p,64,"/proc/%d/stat",pid);FILE*f=fopen(p,"r");if(!f)return 0;size_t n=fread(b,1,1023,f);b[n]=0;fclose(f);char*q=strrchr(b,')')+2;long u,s;char st;sscanf(q,"%c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld",&st,&u,&s);return (u+s)/(double)sysconf(_SC_CLK_TCK);}
static long rss(int pid){char p[64],b[256];snprintf(p,64,"/proc/%d/status",pid);FILE*f=fopen(p,"r");if(!f)return 0;long r=0;while(fgets(b,256,f))if(sscanf(b,"VmRSS: %ld",&r)==1)break;fclose(f);return r;}
typedef struct{int fd,inflight,state;unsigned short id;long sent,acked;char in[256];int inl;char out[65536];int outl,outo;double t[256];}C;
int main(int c,char**v){ // host port pid conns qos window seconds payload
 const char*host=v[1];int port=atoi(v[2]),pid=atoi(v[3]),N=atoi(v[4]),qos=atoi(v[5]),W=atoi(v[6]);double dur=atof(v[7]);int target=c>8?atoi(v[8]):0;
 const char*pl="{\"ts\":1700000000000,\"values\":{\"pulseCounter\":123456,\"leakage\":false,\"batteryLevel\":81}}";const char*tp="v1/devices/me/telemetry";
 C*cs=calloc(N,sizeof(C));int ep=epoll_create1(0);struct sockaddr_in a={0};a.sin_family=AF_INET;a.sin_port=htons(port);inet_pton(AF_INET,host,&a.sin_addr);
 for(int i=0;i<N;i++){int fd=socket(AF_INET,SOCK_STREAM,0);if(connect(fd,(void*)&a,sizeof a)){perror("connect");return 1;}int one=1;setsockopt(fd,IPPROTO_TCP,TCP_NODELAY,&one,4);
  unsigned char b[128];char id[32],un[32];int il=sprintf(id,"c%08d",i),ul=sprintf(un,"DW%08d",i);int n=0;b[n++]=0x10;b[n++]=10+2+il+2+ul;memcpy(b+n,"\0\4MQTT\4",7);n+=7;b[n++]=0x82;b[n++]=0;b[n++]=60;b[n++]=0;b[n++]=il;memcpy(b+n,id,il);n+=il;b[n++]=0;b[n++]=ul;memcpy(b+n,un,ul);n+=ul;
  if(write(fd,b,n)!=n)return 1;unsigned char r[4];int g=0;while(g<4){int k=read(fd,r+g,4-g);if(k<=0){fprintf(stderr,"noconnack %d\n",i);return 1;}g+=k;}if(r[3]){fprintf(stderr,"rc %d\n",r[3]);return 1;}
  fcntl(fd,F_SETFL,O_NONBLOCK);cs[i].fd=fd;cs[i].id=1;struct epoll_event e={.events=EPOLLIN|EPOLLOUT|EPOLLET,.data.u32=i};epoll_ctl(ep,EPOLL_CTL_ADD,fd,&e);}
 int tl=strlen(tp),ll=strlen(pl);char pk[512];int hl=0;int rl=2+tl+(qos?2:0)+ll;pk[hl++]=0x30|(qos<<1);if(rl<128)pk[hl++]=rl;else{pk[hl++]=(rl&127)|128;pk[hl++]=rl>>7;}pk[hl++]=0;pk[hl++]=tl;memcpy(pk+hl,tp,tl);hl+=tl;int idp=hl;if(qos)hl+=2;memcpy(pk+hl,pl,ll);hl+=ll;
 long tot=0,totack=0;double*lat=malloc(sizeof(double)*4000000);long nl=0;double c0=cpu(pid),t0=now(),end=t0+dur;long seq=0;int stop=0;double credit=0,lastc=t0;
 struct epoll_event ev[512];
 while(1){double t=now();if(!stop&&t>=end){stop=1;}
  if(target){credit+=(t-lastc)*target;lastc=t;if(credit>target*0.05)credit=target*0.05;}
  int any=0;
  for(int i=0;i<N&&!stop;i++){C*x=&cs[(seq+i)%N];
    while((qos?x->inflight<W:1)&&x->outl-x->outo<(qos?60000:16384)&&x->outl+hl<65536){ if(target){if(credit<1)break;credit-=1;}
      memcpy(x->out+x->outl,pk,hl);if(qos){x->out[x->outl+idp]=x->id>>8;x->out[x->outl+idp+1]=x->id&255;x->t[x->id&255]=t;x->id++;if(!x->id)x->id=1;x->inflight++;}x->outl+=hl;x->sent++;tot++;any=1;if(target)break;}
    while(x->outo<x->outl){int k=write(x->fd,x->out+x->outo,x->outl-x->outo);if(k<0){if(errno==EAGAIN)break;perror("w");return 1;}x->outo+=k;any=1;}
    if(x->outo==x->outl)x->outo=x->outl=0;}
  seq++;
  int n=epoll_wait(ep,ev,512,any?0:1);
  for(int k=0;k<n;k++){C*x=&cs[ev[k].data.u32];if(!(ev[k].events&EPOLLIN))continue;char b[16384];int g;while((g=read(x->fd,b,sizeof b))>0){int p=0;while(p<g){if(x->inl<4){x->in[x->inl++]=b[p++];}
      int need=x->inl>=2?2+(unsigned char)x->in[1]:2; if(x->inl>=2&&x->inl>=need){if((x->in[0]&0xf0)==0x40){int id=((unsigned char)x->in[2]<<8)|(unsigned char)x->in[3];x->inflight--;x->acked++;totack++;if(nl<4000000)lat[nl++]=now()-x->t[id&255];}else if((x->in[0]&0xf0)==0xd0)x->state=2;x->inl=0;}}}
    if(g==0){fprintf(stderr,"closed\n");return 1;}}
  if(stop){int pend=0;for(int i=0;i<N;i++){C*x=&cs[i];while(x->outo<x->outl){int k=write(x->fd,x->out+x->outo,x->outl-x->outo);if(k<0)break;x->outo+=k;}if(x->outo<x->outl){pend++;continue;}if(x->state==0){if(write(x->fd,"\xc0\0",2)==2)x->state=1;pend++;}else if(x->state==1||x->inflight>0)pend++;}if(!pend)break;if(now()>end+30)break;}
 }
 double t1=now(),c1=cpu(pid);struct rusage ru;getrusage(RUSAGE_SELF,&ru);double own=ru.ru_utime.tv_sec+ru.ru_utime.tv_usec/1e6+ru.ru_stime.tv_sec+ru.ru_stime.tv_usec/1e6;
 int cmp(const void*a,const void*b){double x=*(double*)a-*(double*)b;return x<0?-1:x>0;}
 qsort(lat,nl,sizeof(double),cmp);
 printf("conns=%d qos=%d W=%d target=%d: %.0f msg/s (%ld msgs, acked %ld, %.1fs) server cpu %.2fs = %.2f us/msg (%.0f%%), rss %ld KB, gen cpu %.2f us/msg",N,qos,W,target,tot/(t1-t0),tot,totack,t1-t0,c1-c0,(c1-c0)/tot*1e6,(c1-c0)/(t1-t0)*100,rss(pid),own/tot*1e6);
 if(nl)printf(" puback p50 %.2f p99 %.2f p999 %.2f ms",lat[nl/2]*1e3,lat[(long)(nl*.99)]*1e3,lat[(long)(nl*.999)]*1e3);printf("\n");return 0;}
