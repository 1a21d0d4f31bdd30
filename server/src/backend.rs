//! What the pages and server functions ask: the use cases, spoken in wire types.

use app::backend::Backend;
use app::error::{ApiError, ErrorCode};
use app::types::{ListQuery, PicturePage, PictureStatus, SiteView, TagList, UploadView};
use async_trait::async_trait;
use axum::http::request::Parts;
use leptos::prelude::use_context;

use crate::domain::picture::PictureId;
use crate::domain::search::canonical;
use crate::error::Error;
use crate::http::upload;
use crate::list;
use crate::pictures::Status;
use crate::state::AppState;
use crate::views;

/// The server, as the pages see it.
pub(crate) struct ServerBackend {
    state: AppState,
}

impl ServerBackend {
    pub(crate) fn new(state: AppState) -> Self {
        Self { state }
    }
}

#[async_trait]
impl Backend for ServerBackend {
    fn site(&self) -> SiteView {
        SiteView::clone(&self.state.site)
    }

    async fn picture(&self, id: &str) -> Result<PictureStatus, ApiError> {
        let id = PictureId::parse(id).ok_or_else(Error::not_found)?;
        let site = &self.state.site;
        match self.state.pictures.status(&id).await.map_err(Error::from)? {
            Status::Published(published) => Ok(PictureStatus::Published(Box::new(views::picture(
                site, &published,
            )))),
            Status::Screening => Ok(PictureStatus::Screening(views::pending(site, &id))),
            Status::Rejected(reason) => Err(Error::from(reason).into()),
            Status::Gone { .. } => Err(Error::gone().into()),
            Status::Unknown => Err(Error::not_found().into()),
        }
    }

    async fn list_pictures(&self, mut query: ListQuery) -> Result<PicturePage, ApiError> {
        query.q = canonical(&query.q);
        query.tag = canonical(&query.tag);
        Ok(list::list_pictures(&self.state.pictures, &self.state.site, &query).await?)
    }

    async fn list_tags(&self) -> Result<TagList, ApiError> {
        Ok(list::list_tags(&self.state.pictures).await?)
    }

    async fn check_deletion(&self, id: &str, token: &str) -> Result<(), ApiError> {
        let id = PictureId::parse(id).ok_or_else(Error::not_found)?;
        Ok(self
            .state
            .pictures
            .check_deletion(&id, token)
            .await
            .map_err(Error::from)?)
    }

    async fn upload_picture(
        &self,
        form: multer::Multipart<'static>,
    ) -> Result<UploadView, ApiError> {
        // The framework gives a server function its form, and the rest of the request as a context.
        let watch = use_context::<Parts>()
            .map(|parts| upload::watch_of(&parts.extensions))
            .ok_or_else(|| Error::new(ErrorCode::Internal, "Something went wrong on our side."))?;
        Ok(upload::upload_from_form(&self.state, form, &watch).await?)
    }
}
